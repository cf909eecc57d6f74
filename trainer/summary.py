"""What a finished run says about itself: metrics by their standard names, and everything a law may depend on."""

from dataclasses import dataclass

import torch

from model.counts import (
    count_parameters,
    decoding_bytes,
    embedding_share,
    forward_flops_per_token,
    size_conventions,
    training_flops_per_token,
)
from trainer.config import ProxyConfig
from trainer.machine.memory_estimate import MemoryEstimate
from trainer.machine.memory_use import PeakMemory
from trainer.machine.software import code_revision, installed_versions
from trainer.plan import RunPlan
from trainer.results import Evaluation, Value
from trainer.text.cached_corpus import TOKENIZER_TRAINING_BYTES
from trainer.text.data import Batches, PreparedData

PACKAGES = ("formulary", "numpy", "tokenizers")
"""Whose versions a run stores, beside those of Python and torch."""


@dataclass
class Progress:
    """How far a run has come; what a checkpoint keeps beside weights and optimizer."""

    step: int = 0
    train_bytes: int = 0
    """UTF-8 bytes of the predicted tokens."""
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0


def run_metrics(config: ProxyConfig, progress: Progress, evaluation: Evaluation) -> dict[str, float]:
    """Metrics of a run at its present step; FLOPs are those of training, without evaluations."""
    counts = count_parameters(config.architecture)
    tokens = progress.step * config.optimization.batch_tokens
    return {
        "bits_per_byte": evaluation.bits_per_byte,
        "validation_loss": evaluation.validation_loss,
        "train_tokens_per_second": tokens / progress.training_seconds,
        "total_parameters": counts.total,
        "non_embedding_parameters": counts.non_embedding,
        "embedding_share": embedding_share(config.architecture),
        "decode_memory": decoding_bytes(config.architecture, config.architecture.sequence_length),
        "train_tokens": tokens,
        "train_bytes": progress.train_bytes,
        "train_flops": tokens * training_flops_per_token(config.architecture),
    }


def recipe_attributes(config: ProxyConfig, plan: RunPlan) -> dict[str, Value]:
    """The fixed choices of this trainer, and what became of the config's lengths."""
    architecture = config.architecture
    base = {} if architecture.mup_base_width is None else {"mup_base_width": architecture.mup_base_width}
    return {
        "block": architecture.block,
        "qk_norm": architecture.qk_norm,
        "z_loss": config.optimization.z_loss,
        "schedule": config.optimization.schedule,
        "final_learning_rate_ratio": config.optimization.final_learning_rate_ratio,
        "cooldown_tokens": plan.cooldown_steps * config.optimization.batch_tokens,
        "warmup_tokens": plan.warmup_steps * config.optimization.batch_tokens,
        "decay_mode": "decoupled",
        "parametrisation": architecture.parametrisation,
        **base,
        "optimizer": "adamw",
        "init_scheme": config.initialization.scheme,
        "init_std": config.initialization.std_at(architecture.base_width),
        "steps": plan.steps,
        "mask_documents": config.architecture.mask_documents,
        "seed": config.seed,
        **size_conventions(config.architecture),
    }


def cost_attributes(
    config: ProxyConfig,
    plan: RunPlan,
    progress: Progress,
    teacher_flops_per_token: int = 0,
    inherit_flops: float = 0.0,
) -> dict[str, Value]:
    """What the run took beside its own steps: its start, its teacher, cooldowns of annealed evaluations, forgotten
    since, and measuring whole rounds' losses.
    """
    forks = [end - start for start, end in plan.forks.items() if start <= progress.step]
    annealed_tokens = sum(forks) * config.optimization.batch_tokens
    tokens = progress.step * config.optimization.batch_tokens + annealed_tokens
    spent = inherit_flops + tokens * (training_flops_per_token(config.architecture) + teacher_flops_per_token)
    if plan.rounds is None or not config.multiple_rounds.measures_at_end:
        return {"annealed_tokens": annealed_tokens, "spent_flops": spent}
    measured_steps = plan.rounds.ended_rounds(progress.step) * plan.rounds.first_steps
    measured_tokens = measured_steps * config.optimization.batch_tokens
    return {
        "annealed_tokens": annealed_tokens,
        "round_loss_tokens": measured_tokens,
        "spent_flops": spent + measured_tokens * forward_flops_per_token(config.architecture),
    }


def data_attributes(data: PreparedData, batches: Batches, progress: Progress) -> dict[str, Value]:
    """Which text was seen, and how often."""
    unique_tokens = batches.unique_tokens(progress.step)
    trained = data.tokenizer_attributes.get("tokenizer_kind") == "trained"
    covering = {"covering_vocabulary": data.manifest.covering_vocabulary} if trained else {}
    tokens = progress.step * batches.batch_sequences * batches.sequence_length
    return {
        "corpus_fingerprint": data.manifest.corpus_fingerprint,
        "tokenizer_fingerprint": data.manifest.tokenizer_fingerprint,
        **data.tokenizer_attributes,
        **covering,
        "tokenizer_training_bytes_cap": TOKENIZER_TRAINING_BYTES,
        "split_unit": data.manifest.split_unit,
        "validation_bytes": data.manifest.validation_bytes,
        "bytes_per_token": data.bytes_per_token,
        "unique_tokens": unique_tokens,
        "repeated_tokens": tokens - unique_tokens,
        "epochs": tokens / (batches.sequences * batches.sequence_length),
    }


def machine_attributes(
    progress: Progress, device: torch.device, peak: PeakMemory, predicted: MemoryEstimate
) -> dict[str, Value]:
    """What it ran on, and what that cost."""
    return {
        **_software_attributes(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "training_seconds": progress.training_seconds,
        "evaluation_seconds": progress.evaluation_seconds,
        "peak_memory_bytes": peak.bytes(),
        "peak_memory_scope": peak.scope,
        "predicted_memory_bytes": predicted.total,
    }


def _software_attributes() -> dict[str, Value]:
    """Versions of what computes, and the revision of this code where it runs from a checkout."""
    versions = installed_versions(PACKAGES) | {"torch": str(torch.__version__)}
    attributes: dict[str, Value] = {f"{name}_version": version for name, version in versions.items()}
    revision = code_revision()
    return attributes if revision is None else {**attributes, "git_revision": revision}

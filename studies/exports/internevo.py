"""A folder for InternEvo (https://github.com/InternLM/InternEvo), the framework that the paper trained with.

Its config is a Python file of assignments; this one has plain literals alone. The network is its ``LLAMA2``. Names and
meanings are those of ``doc/en/usage.md``, ``configs/7B_llama2.py`` and ``internlm/model/modeling_llama.py`` at commit
c628a8c; the paper's own config is ``configs/LLM1B.py`` of github.com/YuchuanTian/RethinkTinyLM.
"""

import re
from pathlib import Path
from typing import Any

from model.config import InitScheme
from studies.exports.exporter import Exporter
from studies.exports.run import Run, evaluation_difference, seed_difference
from studies.exports.scripts import copy_script
from studies.exports.smoke.internevo import smoke
from studies.recipe import Recipe
from trainer.config import PretrainConfig

CONFIG = "internevo_config.py"
SCRIPT = "prepare_internevo_data.py"
COMMIT = "c628a8c"
MAX_JOB_NAME = 80
USAGE = """\
With InternEvo (https://github.com/InternLM/InternEvo, commit {commit}). The corpus first: JSON lines in
`DOCUMENTS.jsonl`, each `{{"text": "one document"}}`:

    python prepare_internevo_data.py DOCUMENTS.jsonl data/train/en

Then, from InternEvo's folder, on {gpus}, where DIR is this folder (`train_folder` in `internevo_config.py` becomes
DIR/data/train):

    {torchrun} train.py --config DIR/internevo_config.py --launcher torch --seed {seed}

`micro_num` ({micro_num}) is for these GPUs: times `micro_bsz` ({micro_bsz}) and the number of GPUs it is the batch of
{batch} sequences. On more or fewer GPUs change it so that this stays true.
"""
HEADER = "# Written by Formulary for InternEvo; README.md beside this file tells how to start it.\n"


def write(run: Run, title: str, folder: Path) -> Recipe:
    """Write the config and the script that cuts the corpus; InternEvo draws the initial weights."""
    (folder / CONFIG).write_text(render(config(run, title)), encoding="utf-8")
    copy_script(SCRIPT, folder)
    return run.recipe


def render(document: dict[str, Any]) -> str:
    """A document as Python: an assignment of a literal for each of its names."""
    return HEADER + "".join(_assignment(name, value) for name, value in document.items())


def _assignment(name: str, value: Any) -> str:
    """``name = literal``, a dictionary with a line for each of its keys; ``ascii`` escapes what is not printable."""
    if not isinstance(value, dict):
        return f"{name} = {value!a}\n"
    return f"{name} = {{\n" + "".join(f"    {key!a}: {inner!a},\n" for key, inner in value.items()) + "}\n"


GRAD_SCALER = {
    "fp16": {"initial_scale": 2**16, "min_scale": 1, "growth_interval": 1000},
    "growth_factor": 2,
    "backoff_factor": 0.5,
    "max_scale": 2**24,
    "hysteresis": 2,
}
PARALLEL = {
    "zero1": {"size": -1},
    "tensor": {"size": 1, "mode": "mtp"},
    "pipeline": {"size": 1, "interleaved_overlap": True},
    "weight": {"size": 1, "overlap": True, "memory_pool": True},
}
MONITOR = {
    "alert": {
        "enable_feishu_alert": False,
        "feishu_alert_address": None,
        "light_monitor_address": None,
        "alert_file_path": "llm_alter/alert.log",
    },
    "tensorboard": {"queue_max_length": 10},
}
"""Sections that no recipe changes, as InternEvo's own configs have them."""


def config(run: Run, title: str) -> dict[str, Any]:
    """The assignments of the config file, in its order."""
    return {
        "JOB_NAME": job_name(title),
        "model_type": "LLAMA2",
        "DO_ALERT": False,
        "ckpt": _checkpoints(run),
        "data": _data(run),
        "grad_scaler": GRAD_SCALER,
        **_optimization(run),
        "use_fp32_norm": False,
        "model": model(run),
        "parallel": PARALLEL,
        "cudnn_deterministic": False,
        "cudnn_benchmark": False,
        "monitor": MONITOR,
    }


def _checkpoints(run: Run) -> dict[str, Any]:
    return {
        "enable_save_ckpt": True,
        "save_ckpt_folder": "local:llm_ckpts",
        "load_ckpt_info": None,
        "auto_resume": True,
        "checkpoint_every": run.config.checkpoint_every_steps,
        "async_upload": False,
        "oss_snapshot_freq": run.config.checkpoint_every_steps,
    }


def _optimization(run: Run) -> dict[str, Any]:
    optimization, steps = run.config.optimization, run.plan.steps
    return {
        "hybrid_zero_optimizer": {
            "overlap_sync_grad": True,
            "overlap_sync_param": False,
            "reduce_bucket_size": 512 * 1024 * 1024,
            "clip_grad_norm": optimization.gradient_clip,
        },
        "loss": {"label_smoothing": 0},
        "adam": {
            "lr": optimization.learning_rate,
            "adam_beta1": optimization.beta1,
            "adam_beta2": optimization.beta2,
            "adam_beta2_c": 0,
            "adam_eps": optimization.epsilon,
            "weight_decay": optimization.weight_decay,
        },
        "lr_scheduler": {
            "total_steps": steps,
            "init_steps": 0,
            "warmup_ratio": warmup_ratio(run.plan.warmup_steps, steps),
            "eta_min": run.final_learning_rate,
            "last_epoch": -1,
        },
        "beta2_scheduler": {"init_beta2": optimization.beta2, "c": 0, "cur_iter": -1},
    }


def job_name(title: str) -> str:
    """The title as InternEvo can use it in names of folders."""
    return re.sub(r"[^A-Za-z0-9]+", "_", title).strip("_")[:MAX_JOB_NAME] or "formulary"


def _data(run: Run) -> dict[str, Any]:
    return {
        "seq_len": run.config.architecture.sequence_length,
        "micro_num": run.accumulation,
        "micro_bsz": run.micro_batch_sequences,
        "valid_micro_num": 1,
        "valid_every": 0,
        "pack_sample_into_one": not run.config.architecture.mask_documents,
        "total_steps": run.plan.steps,
        "skip_batches": "",
        "rampup_batch_size": "",
        "min_length": 0,
        "train_folder": "data/train",
        "valid_folder": None,
        "empty_cache_and_diag_interval": 200,
        "diag_outlier_ratio": 1.1,
        "seed": run.seed,
    }


def model(run: Run) -> dict[str, Any]:
    """The arguments of ``build_model_with_cfg`` for ``LLAMA2``."""
    architecture = run.config.architecture
    return {
        "checkpoint": False,
        "num_chunks": 1,
        "num_attention_heads": architecture.heads,
        "num_kv_attention_heads": architecture.kv_heads,
        "embed_split_hidden": True,
        "vocab_size": architecture.vocabulary_size,
        "embed_grad_scale": 1,
        "parallel_output": True,
        "hidden_size": architecture.width,
        "num_layers": architecture.depth,
        "no_bias": True,
        "mlp_ratio": architecture.ffn_ratio,
        "apply_post_layer_norm": False,
        "dtype": "torch.bfloat16" if run.bfloat16 else "torch.float32",
        "norm_type": "rmsnorm",
        "layer_norm_epsilon": architecture.norm_eps,
        "adapt_hf": True,
        "use_flash_attn": True,
        "rope_base": int(architecture.rope_theta),
        **_initialization(run.config),
    }


def _initialization(config: PretrainConfig) -> dict[str, Any]:
    """Deviations by group; ``use_scaled_init`` divides those of the residual projections by √(2 · (layer + 1))."""
    scheme: InitScheme = config.initialization.scheme
    std = config.initialization.std_at(config.architecture.base_width)
    residual = std / (2 * config.architecture.depth) ** 0.5 if scheme == "gpt2" else std
    return {
        "use_scaled_init": scheme == "internlm",
        "init_type": "normal",
        "embedding_init_std": std,
        "attn_wqkv_init_std": std,
        "attn_other_init_std": residual,
        "ffn_uplayer_init_std": std,
        "ffn_other_init_std": residual,
        "out_head_init_std": std,
    }


def warmup_ratio(warmup_steps: int, steps: int) -> float:
    """A share of which InternEvo, whose warm-up is ``int(steps * share)``, makes ``warmup_steps`` again."""
    return (warmup_steps + 0.5) / steps if warmup_steps else 0.0


def usage(run: Run) -> str:
    """The commands that start it, and how the corpus is cut."""
    return USAGE.format(
        commit=COMMIT,
        gpus=run.gpus_in_words,
        torchrun=run.torchrun,
        seed=run.seed,
        micro_num=run.accumulation,
        micro_bsz=run.micro_batch_sequences,
        batch=run.batch_sequences,
    )


def differences(config: PretrainConfig) -> list[str]:
    """What InternEvo does otherwise."""
    return [
        "Initial weights: InternEvo draws them from the same distributions; other numbers than formulary's.",
        "Weight decay: InternEvo decays norm gains too, formulary matrices alone.",
        "Precision: under bfloat16 InternEvo holds the weights of the forward pass in bfloat16, beside a float32 copy.",
        "Learning rate: after the warm-up InternEvo is one step behind.",
        "Data: END_OF_TEXT closes a document, and its first token is not trained; the order is InternEvo's.",
        *seed_difference("InternEvo", config),
        *evaluation_difference(config),
    ]


EXPORTER = Exporter(write=write, smoke=smoke, usage=usage, differences=differences)

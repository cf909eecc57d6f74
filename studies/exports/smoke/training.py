"""Try Formulary's own format: read the folder as ``formulary pretrain`` does, and train its first steps."""

import math
import os
from contextlib import closing
from itertools import islice
from pathlib import Path

from model.counts import count_parameters, training_flops_per_token
from studies.exports.run import Run
from studies.exports.smoke.counting import check_count
from studies.exports.smoke.result import SmokeTest, SmokeTestFailed
from trainer.config import PretrainConfig, TrainingLength
from trainer.machine.software import installed_versions

STEPS = 2
"""An update, and a loss that was computed after it."""
MAX_STEP_FLOPS = 2e11
"""Most work of one step (assumed: some seconds on one CPU core)."""
SHORTEST = 16
"""Least context, in tokens, to which a sequence is cut (assumed)."""
BYTES_PER_PARAMETER = 20
"""float32 weights, gradients and AdamW's two moments, and a copy (derived)."""


def smoke(run: Run, folder: Path, storage: Path) -> SmokeTest:
    """Train ``STEPS`` steps of the folder's config on the recipe's corpus; a large one is cut to what is affordable.

    Batch, context and, in the end, depth are cut, and the result says so. Imports torch when called.

    Raises:
        SmokeTestFailed: a loss is not finite.
    """
    from model.llama_weights import load_weights
    from trainer.loop import TrainingRun
    from trainer.pretrain import read_pretrain_config
    from trainer.text.data import prepare

    config = read_pretrain_config(folder)
    check_count("formulary", count_parameters(config.architecture).total, run.config.architecture)
    small = affordable(config)
    vocabulary, tokenizer = config.architecture.vocabulary_size, folder / config.tokenizer
    data = prepare(config.corpus, vocabulary, config.validation_bytes, storage, tokenizer)
    training = TrainingRun(small, data)
    if small.initial_weights is not None:
        load_weights(training.single.network, folder / small.initial_weights)
    with closing(training.results()) as results:  # closed before its end, which would be evaluated
        losses = [result.train_loss for result in islice(results, STEPS)]
    if not all(map(math.isfinite, losses)):
        raise SmokeTestFailed("formulary", f"the losses of its first steps are {losses}")
    shown = " → ".join(f"{loss:.4f}" for loss in losses)
    return SmokeTest(
        method="training",
        software=f"Formulary with torch {installed_versions(['torch'])['torch']}",
        done=(f"formulary.json was read and {STEPS} steps were trained: loss {shown} nats per token.",),
        left_out=cuts(config, small),
        parameters=count_parameters(config.architecture).total,
    )


def affordable(config: PretrainConfig) -> PretrainConfig:
    """The config with batch, then context, then depth cut until a step fits ``MAX_STEP_FLOPS`` and the memory."""
    architecture, batch = config.architecture, config.optimization.batch_tokens
    while training_flops_per_token(architecture) * batch > MAX_STEP_FLOPS and batch > architecture.sequence_length:
        batch = max(batch // 2 // architecture.sequence_length, 1) * architecture.sequence_length
    while training_flops_per_token(architecture) * batch > MAX_STEP_FLOPS and batch > 2 * SHORTEST:
        batch //= 2
        architecture = architecture.model_copy(update={"sequence_length": batch})
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
    while architecture.depth > 1 and (
        training_flops_per_token(architecture) * batch > MAX_STEP_FLOPS
        or BYTES_PER_PARAMETER * count_parameters(architecture).total > memory
    ):
        architecture = architecture.model_copy(update={"depth": architecture.depth // 2})
    return config.model_copy(
        update={
            "architecture": architecture,
            "optimization": config.optimization.model_copy(update={"batch_tokens": batch, "warmup_tokens": batch}),
            "length": TrainingLength(unit="tokens", amount=10 * STEPS * batch),
            "annealed_evaluations": False,
            "evaluations": 1,
            "compilation": "off",
            "initial_weights": config.initial_weights if architecture.depth == config.architecture.depth else None,
        }
    )


def cuts(config: PretrainConfig, small: PretrainConfig) -> tuple[str, ...]:
    """How ``small`` differs from ``config``, as one sentence, or nothing."""
    pairs = (
        ("batch", config.optimization.batch_tokens, small.optimization.batch_tokens, "tokens"),
        ("context", config.architecture.sequence_length, small.architecture.sequence_length, "tokens"),
        ("depth", config.architecture.depth, small.architecture.depth, "layers"),
    )
    found = [f"{name} {tried} instead of {whole} {unit}" for name, whole, tried, unit in pairs if tried != whole]
    return (f"To be quick, the steps were trained with {', '.join(found)}.",) if found else ()

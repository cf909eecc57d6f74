"""Try Formulary's own format: read the folder as ``formulary pretrain`` does, and train its first steps."""

import math
import os
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from model.config import ArchitectureConfig
from model.counts import count_parameters, forward_flops_per_token, training_flops_per_token
from studies.exports.run import Run
from studies.exports.smoke.counting import check_count
from studies.exports.smoke.result import SmokeTest, SmokeTestFailed
from studies.recipe.judging.plan import inheritance_flops
from trainer.config import PretrainConfig, TrainingLength
from trainer.distillation.architecture import over_student, teacher_folder
from trainer.inheritance.checks import check_inheritance
from trainer.machine.software import installed_versions
from trainer.rounds.config import RoundsConfig

if TYPE_CHECKING:  # load torch
    from trainer.inheritance.start import Start
    from trainer.text.data import PreparedData

STEPS = 2
"""An update, and a loss that was computed after it."""
MAX_START_FLOPS = 2e12
"""Most work of inheriting weights (assumed: some minutes on one CPU core)."""
FLOAT32 = 4
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
    from trainer.run_folder import read_pretrain_config
    from trainer.text.data import prepare

    config = read_pretrain_config(folder)
    check_count("formulary", count_parameters(config.architecture).total, run.config.architecture)
    small = affordable(config)
    vocabulary, tokenizer = config.architecture.vocabulary_size, folder / config.tokenizer
    data = prepare(config.corpus, vocabulary, config.validation_bytes, storage, tokenizer)
    start, said = begin(config, small, data, storage)
    training = TrainingRun(small, data)
    training.start_from([start])
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
        done=(f"formulary.json was read and {STEPS} steps were trained{_beside(start, small)}: loss {shown} a token.",),
        left_out=(*cuts(config, small), *said),
        parameters=count_parameters(config.architecture).total,
    )


def _beside(start: "Start | None", small: PretrainConfig) -> str:
    inherited = "" if start is None else " from inherited weights"
    return inherited + ("" if small.distillation is None else " beside the teacher")


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
            "multiple_rounds": RoundsConfig(),  # the first steps are the same, however many rounds follow
            "evaluations": 1,
            "compilation": "off",
            "initial_weights": config.initial_weights if architecture.depth == config.architecture.depth else None,
            "distillation": config.distillation if _can_teach(config, architecture, batch, memory) else None,
        }
    )


def _can_teach(config: PretrainConfig, student: ArchitectureConfig, batch: int, memory: float) -> bool:
    """Whether the teacher's part of a step, and its weights, are affordable, too.

    Raises:
        InvalidInput: it cannot be read as a network, or not teach this one.
    """
    if config.distillation is None:
        return False
    own = teacher_folder(config.distillation.teacher, config.architecture.sequence_length).architecture
    step = forward_flops_per_token(over_student(own, student)) * batch
    return step <= MAX_STEP_FLOPS and FLOAT32 * count_parameters(own).total <= memory


def begin(
    config: PretrainConfig, small: PretrainConfig, data: "PreparedData", storage: Path
) -> "tuple[Start | None, tuple[str, ...]]":
    """The inherited weights of ``small``, if that is affordable, and what is not tried of start and teacher.

    What is inherited stays in the storage, where a full run on this machine finds it.

    Raises:
        InvalidInput: the parent cannot be inherited from.
    """
    from trainer.inheritance.start import inherited_start
    from trainer.parallel.world import alone

    said: tuple[str, ...] = ()
    if config.distillation is not None and small.distillation is None:
        said = ("To be quick, the steps were trained without the teacher, whose config was read.",)
    if config.inheritance is None:
        return None, said
    parent = check_inheritance(Path(config.inheritance.parent), config.architecture).architecture
    flops = inheritance_flops(config.inheritance, parent, config.architecture)
    if small.architecture != config.architecture or flops > MAX_START_FLOPS:
        words = f"about {flops:.2g} FLOPs and is done when training starts; the parent's shape fits"
        return None, (*said, f"The steps were trained from draws: inheriting takes {words}.")
    return inherited_start(small, data, storage, alone().device), said


def cuts(config: PretrainConfig, small: PretrainConfig) -> tuple[str, ...]:
    """How ``small`` differs from ``config``, as one sentence, or nothing."""
    pairs = (
        ("batch", config.optimization.batch_tokens, small.optimization.batch_tokens, "tokens"),
        ("context", config.architecture.sequence_length, small.architecture.sequence_length, "tokens"),
        ("depth", config.architecture.depth, small.architecture.depth, "layers"),
    )
    found = [f"{name} {tried} instead of {whole} {unit}" for name, whole, tried, unit in pairs if tried != whole]
    return (f"To be quick, the steps were trained with {', '.join(found)}.",) if found else ()

"""What a run starts from, in which rounds it reads its text, from whom it learns, and what that takes."""

from collections.abc import Iterator

from model.config import ArchitectureConfig
from model.counts import count_parameters, forward_flops_per_token, training_flops_per_token
from studies.recipe.evidence import RoundPlan, StartPlan, TeacherPlan, TrainingPlan
from studies.recipe.models import KnownModel, Models
from studies.recipe.recipe import figures
from trainer.config import PretrainConfig
from trainer.distillation.architecture import over_student
from trainer.inheritance.config import InheritanceConfig
from trainer.rounds.plan import plan_rounds

BYTES_PER_TOKEN = 4.0
"""Of the calibration text under a parent's tokenizer (assumed: that of English text under usual vocabularies)."""
MASK_BATCH_TOKENS = 4096
"""Tokens of one step of a learned mask (``trainer.inheritance``)."""
BACKWARD = 3
"""Forward and backward pass over a forward one (``model.counts.training_flops_per_token``)."""
MAX_SKIPPED = 3
"""Most consecutive layers that are left out when their importance is measured (arXiv 2402.02791, F4)."""
STEPS = 10**6
"""Of a run whose length is not known in tokens: its rounds are told as shares (derived)."""
READS = {
    "loss": "batches of the first round without replacement, with p ∝ exp(loss)",
    "uniform": "batches of the first round without replacement, all alike",
    "top_loss": "the batches of the first round with the highest losses",
    "fresh": "further text",
}


def training_plan(config: PretrainConfig, models: Models) -> TrainingPlan | None:
    """What there is to say of a config; None for a run from draws, in one round, without a teacher."""
    if config.inheritance is None and config.distillation is None and config.multiple_rounds.rounds == 1:
        return None
    tokens = round(config.length.amount) if config.length.unit == "tokens" else None
    start, teacher = _start(config, models.parent), _teacher(config, models.teacher)
    each = training_flops_per_token(config.architecture)
    at_once = 0.0 if start is None else start.flops / each
    beside = 0.0 if teacher is None else teacher.flops_per_token / each
    return TrainingPlan(
        start=start,
        rounds=tuple(_rounds(config, tokens)),
        teacher=teacher,
        tokens=tokens,
        total_tokens=None if tokens is None else at_once + (1 + beside) * tokens,
    )


def _start(config: PretrainConfig, parent: KnownModel | None) -> StartPlan | None:
    how = config.inheritance
    if how is None or parent is None or parent.architecture is None:
        return None
    flops = inheritance_flops(how, parent.architecture, config.architecture.depth)
    return StartPlan(
        parent=parent.said,
        parent_parameters=count_parameters(parent.architecture).total,
        parent_depth=parent.architecture.depth,
        depth=config.architecture.depth,
        layers=how.layers,
        neurons=how.neurons,
        calibration_bytes=how.calibration_bytes,
        flops=flops,
        parent_train_flops=parent.train_flops,
        basis=f"estimated, at {figures(BYTES_PER_TOKEN)} bytes a token of the parent; its own training is not in it",
    )


def inheritance_flops(how: InheritanceConfig, parent: ArchitectureConfig, depth: int) -> float:
    """FLOPs of choosing what is kept, about: the importance of layers, and the scores of units."""
    calibration = how.calibration_bytes / BYTES_PER_TOKEN
    flops = calibration * importance_flops_per_token(parent) if how.layers == "importance" else 0.0
    gated = BACKWARD * forward_flops_per_token(parent.model_copy(update={"depth": depth}))
    if how.neurons == "taylor":
        flops += calibration * gated
    if how.neurons == "learned_mask":
        flops += float(how.mask_steps * MASK_BATCH_TOKENS) * gated
    return flops


def importance_flops_per_token(parent: ArchitectureConfig) -> float:
    """Of one pass over a network with each 1, 2 and 3 consecutive layers left out; what comes before is shared."""
    head = 2 * parent.vocabulary_size * parent.width
    layer = (forward_flops_per_token(parent) - head) / parent.depth
    counts = range(1, min(MAX_SKIPPED, parent.depth - 1) + 1)
    behind = [parent.depth - first - count for count in counts for first in range(parent.depth - count + 1)]
    return (parent.depth + sum(behind)) * layer + (1 + len(behind)) * head


def _rounds(config: PretrainConfig, tokens: int | None) -> Iterator[RoundPlan]:
    """Each round's share of the steps, whole where the length is given in tokens."""
    rounds, batch = config.multiple_rounds, config.optimization.batch_tokens
    steps = STEPS if tokens is None else round(tokens / batch)
    plan = plan_rounds(rounds, steps)
    for number in range(1, rounds.rounds + 1):
        length = steps if plan is None else plan.first_steps if number == 1 else plan.later_steps
        yield RoundPlan(
            number=number,
            share=length / steps,
            tokens=None if tokens is None else length * batch,
            reads="the corpus in its order" if number == 1 else READS[rounds.selection],
        )


def _teacher(config: PretrainConfig, teacher: KnownModel | None) -> TeacherPlan | None:
    how = config.distillation
    if how is None or teacher is None or teacher.architecture is None:
        return None
    return TeacherPlan(
        teacher=teacher.said,
        teacher_parameters=count_parameters(teacher.architecture).total,
        weight=how.weight,
        temperature=how.temperature,
        flops_per_token=float(forward_flops_per_token(over_student(teacher.architecture, config.architecture))),
    )

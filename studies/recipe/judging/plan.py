"""What a run starts from, in which rounds it reads its text, from whom it learns, and what that takes."""

from collections.abc import Iterator

from model.config import ArchitectureConfig
from model.counts import count_parameters, forward_flops_per_token, training_flops_per_token
from studies.recipe.evidence import RoundPlan, StartPlan, TeacherPlan, TrainingPlan
from studies.recipe.models import KnownModel, Models
from studies.specs.cost import bytes_per_token
from trainer.config import PretrainConfig
from trainer.distillation.architecture import over_student
from trainer.inheritance.config import InheritanceConfig
from trainer.inheritance.cost import choosing_flops
from trainer.rounds.plan import plan_rounds

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
    flops = inheritance_flops(how, parent.architecture, config.architecture)
    bytes_each = bytes_per_token(parent.architecture.vocabulary_size)
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
        basis=f"estimated, at {bytes_each:.3g} bytes a token of the parent; its own training is not in it",
    )


def inheritance_flops(how: InheritanceConfig, parent: ArchitectureConfig, student: ArchitectureConfig) -> float:
    """FLOPs of choosing what is kept, at the bytes that a token of the parent is expected to stand for."""
    return choosing_flops(how, parent, student, bytes_per_token(parent.vocabulary_size))


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

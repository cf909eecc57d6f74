"""What the trials of a spec cost, estimated from its points before anything is trained."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from model.config import ArchitectureConfig
from model.counts import forward_flops_per_token, training_flops_per_token
from model.errors import InvalidInput
from search.proxy import proxy_config, training_length
from search.space import Point, Space
from search.space.summary import Range, looked_at
from studies.spec import StudySpec
from trainer.config import ProxyConfig
from trainer.inheritance.cost import choosing_flops
from trainer.plan import MIN_STEPS
from trainer.rounds.plan import plan_rounds

BYTES_PER_TOKEN = {257: 1.0, 512: 2.11, 1024: 2.59, 2048: 2.99, 4096: 3.35, 8192: 3.61, 16_384: 3.77}
"""Bytes that a token stands for, by vocabulary: byte-level BPE trained on 400 files of Python 3.11's standard library,
on 100 others (measured). Other texts differ, English by about a fifth upwards."""
MAX_COSTED = 64
"""Trials whose cost is computed (assumed: a few hundredths of a second)."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a program trains, and how that is known."""

    flops_per_second: float
    source: str


@dataclass(frozen=True, slots=True)
class Others:
    """The other networks that trials start from or learn from, where they can be looked at."""

    parent: ArchitectureConfig | None = None
    teacher: ArchitectureConfig | None = None


UNKNOWN = Others()


@dataclass(frozen=True, slots=True)
class Cost:
    """Training of all trials, with inheriting, teachers and the losses at the ends of rounds, without evaluations."""

    trials: int
    """Trials that are run: ``max_trial_count``, or fewer where a grid ends before."""
    tokens_per_trial: Range
    flops_per_trial: Range
    total_flops: float
    """Mean of the trials looked at, times ``trials``."""
    device_seconds: float | None
    """Training time of all trials one after the other; None where no speed is known."""
    assumptions: tuple[str, ...]
    """What the estimate rests on, a line each."""


def estimate_cost(spec: StudySpec, space: Space, speed: Speed | None = None, others: Others = UNKNOWN) -> Cost:
    """Estimate what the trials of a spec cost.

    Args:
        spec: a checked spec.
        space: its space.
        speed: of training, where one is known.
        others: parent and teacher; what is not known of them is left out, and said.
    """
    points = looked_at(space)
    spread = [points[index * len(points) // MAX_COSTED] for index in range(MAX_COSTED)] if points else []
    costs = [_trial_cost(spec, space, point, index, others) for index, point in enumerate(spread)]
    flops = [cost for _, cost in costs]
    count = _trial_count(spec, space)
    total = fmean(flops) * count
    return Cost(
        trials=count,
        tokens_per_trial=Range.of([tokens for tokens, _ in costs]),
        flops_per_trial=Range.of(flops),
        total_flops=total,
        device_seconds=None if speed is None else total / speed.flops_per_second,
        assumptions=tuple(_assumptions(spec, speed, others)),
    )


def _trial_cost(spec: StudySpec, space: Space, point: Point, index: int, others: Others) -> tuple[float, float]:
    """Tokens and FLOPs of a point's trial at one of the inner points, in whole steps as a run has them."""
    trial = space.trial(point.values, index % len(space.inner_points))
    config = proxy_config(spec.trial_settings, trial.values, trial.attributes, spec.resources_per_trial.threads)
    flops_per_token = training_flops_per_token(config.architecture)
    length = training_length(spec.proxy)
    tokens_per_unit = {
        "tokens": 1.0,
        "bytes": 1 / bytes_per_token(config.architecture.vocabulary_size),
        "flops": 1 / flops_per_token,
    }
    batch = config.optimization.batch_tokens
    tokens = max(round(length.amount * tokens_per_unit[length.unit] / batch), MIN_STEPS) * batch
    extra = tokens * _teacher_flops_per_token(config, others.teacher) + _inherit_flops(config, others.parent)
    extra += _measured_batches(config, tokens // batch) * batch * forward_flops_per_token(config.architecture)
    return float(tokens), tokens * flops_per_token + extra


def _measured_batches(config: ProxyConfig, steps: int) -> int:
    """Batches that a frozen network measures between rounds; none of a run that cannot have its rounds, which fails."""
    if not config.multiple_rounds.measures_at_end:
        return 0
    try:
        plan = plan_rounds(config.multiple_rounds, steps)
    except InvalidInput:
        return 0
    return 0 if plan is None else (plan.rounds - 1) * plan.first_steps


def _teacher_flops_per_token(config: ProxyConfig, teacher: ArchitectureConfig | None) -> float:
    """Of the teacher's forward pass, over the student's tokens and sequences."""
    if teacher is None or config.distillation is None:
        return 0.0
    own = config.architecture
    shape = {"vocabulary_size": own.vocabulary_size, "sequence_length": own.sequence_length}
    return float(forward_flops_per_token(teacher.model_copy(update=shape)))


def _inherit_flops(config: ProxyConfig, parent: ArchitectureConfig | None) -> float:
    """Of choosing what a trial inherits; a study computes each choice once and counts it in every trial."""
    settings, own = config.inheritance, config.architecture
    if parent is None or settings is None:
        return 0.0
    return choosing_flops(settings, parent, own, bytes_per_token(parent.vocabulary_size))


def bytes_per_token(vocabulary_size: int) -> float:
    """About, by ``BYTES_PER_TOKEN``; beyond its vocabularies those of its ends."""
    sizes = [math.log(size) for size in BYTES_PER_TOKEN]
    return float(np.interp(math.log(vocabulary_size), sizes, list(BYTES_PER_TOKEN.values())))


def _trial_count(spec: StudySpec, space: Space) -> int:
    if spec.sampler.kind != "grid" and space.names:
        return spec.max_trial_count
    return min(spec.max_trial_count, space.grid_size() * len(space.inner_points) + spec.seeds.reserved)


def _assumptions(spec: StudySpec, speed: Speed | None, others: Others) -> Sequence[str]:
    length = training_length(spec.proxy)
    bytes_ = ["a token stands for as many bytes as in Python's standard library, by vocabulary (measured)"]
    unknown = (
        "no speed is known: time is estimated once trials of the study are complete, or from a speed that you give"
    )
    return [
        *(bytes_ if length.unit == "bytes" else []),
        "trials run to their end; evaluations, their cooldowns and the preparation of text are not counted",
        *_unseen(spec, others),
        speed.source if speed else unknown,
    ]


def _unseen(spec: StudySpec, others: Others) -> Iterator[str]:
    """Costs that are left out because the other network could not be looked at."""
    if spec.inherit is not None and others.parent is None:
        yield "what inheriting costs is not counted: the parent could not be looked at"
    if spec.teacher is not None and others.teacher is None:
        yield "the teacher's forward passes are not counted: it could not be looked at"

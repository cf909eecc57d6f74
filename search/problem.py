"""What a search is given: plain types that travel between processes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from model.config import FrozenConfig
from model.errors import FormularyError
from search.events import TrialFailed, TrialInfeasible, Value
from search.parameters import METRIC_NAMES
from search.space import Space
from trainer.config import ProxySettings

PastState = Literal["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL", "INFEASIBLE"]
UNFINISHED_STATES = frozenset({"WAITING", "RUNNING"})
VALUED_STATES = frozenset({"COMPLETE", "PRUNED"})


class Objective(FrozenConfig):
    """A metric and its direction."""

    metric: str
    direction: Literal["minimize", "maximize"] = "minimize"

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in METRIC_NAMES:
            raise ValueError(f"{value!r} is not a metric; use one of {', '.join(sorted(METRIC_NAMES))}")
        return value


class SamplerSpec(FrozenConfig):
    """How points are chosen: random, grid and qmc are declared designs, tpe adapts to results."""

    kind: Literal["random", "grid", "qmc", "tpe"] = "qmc"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class SchedulerSpec(FrozenConfig):
    """Whether weak trials are stopped early: asha is asynchronous successive halving (arXiv 1810.05934)."""

    kind: Literal["none", "asha"] = "none"
    reduction_factor: Annotated[int, Field(ge=2, le=100)] = 3
    grace_evaluations: Annotated[int, Field(ge=1, le=1000)] = 1
    """Evaluations that every trial is given before it can be stopped."""


class Resources(FrozenConfig):
    """What the program of a trial occupies, and how many trials may share one."""

    cpu: Annotated[float, Field(gt=0, le=1024)] = 1
    gpu: Annotated[float, Field(ge=0, le=64)] = 0
    stack: Annotated[int, Field(ge=1, le=256)] = 1
    """Largest number of inner points that are trained as one program."""

    @field_validator("gpu")
    @classmethod
    def _share_or_whole(cls, value: float) -> float:
        if value > 1 and not value.is_integer():
            raise ValueError(
                f"{value:g} is neither a share of one GPU nor whole GPUs; give at most 1, or a whole number"
            )
        return value

    @property
    def threads(self) -> int:
        """Threads of a program's process: one for each whole CPU."""
        return max(1, int(self.cpu))

    @property
    def gpu_share(self) -> float:
        """Share of a GPU's memory that a program may fill; without a GPU there is nothing to share."""
        return min(self.gpu, 1.0) or 1.0


@dataclass(frozen=True, eq=False)
class SearchProblem:
    """Everything that a search depends on, beside what has already been run."""

    study: str
    """Label of the study, e.g. ``study-12``; the slots of its trials carry it in the Ray dashboard."""
    space: Space
    objective: Objective
    sampler: SamplerSpec
    scheduler: SchedulerSpec
    max_trial_count: int
    parallel_trial_count: int
    resources: Resources
    storage: Path
    """Absolute path of the storage root, the same on every machine."""


@dataclass(frozen=True, slots=True)
class PastTrial:
    """A trial that an earlier run of the same search has stored."""

    number: int
    parameters: Mapping[str, Value]
    attributes: Mapping[str, Value]
    state: PastState
    value: float | None
    """The objective; of a pruned trial, at its last evaluation."""
    evaluations: tuple[float, ...] = ()
    """The objective at each evaluation, in order: what successive halving compares."""
    lost_workers: int = 0
    """Workers that died with the trial."""


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial that is to be run."""

    number: int
    parameters: Mapping[str, Value]
    attributes: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class TrialRequest:
    """What an objective is asked to evaluate."""

    number: int
    parameters: Mapping[str, Value]
    attributes: Mapping[str, Value]
    settings: ProxySettings
    storage: Path
    threads: int
    gpu_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """One evaluation of a running trial; the last one is ``finished`` and carries the summary."""

    number: int
    step: int
    values: Mapping[str, float]
    """Metrics at this step, the objective among them."""
    finished: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the whole run."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    losses: Sequence[tuple[int, float]] = ()
    """(step, training loss) since the report before, some of the steps; nats per token."""


class TrialImpossible(FormularyError):
    """The trials cannot be run here at all."""


Outcome = Report | TrialFailed | TrialInfeasible
"""What a running trial tells: an evaluation, or that it has ended without a value."""

ObjectiveFunction = Callable[[Sequence[TrialRequest]], Iterator[Sequence[Outcome]]]
"""Runs trials as one program, one trial or a stack of them, and yields what they tell at a step, together.

A trial ends with its ``finished`` report, or with :class:`TrialFailed` when running it again would give the same; the
others go on. What the function raises concerns every trial that still runs: :class:`TrialImpossible` ends them as
infeasible, ``OSError`` is transient (their attempts are lost), every other exception fails a trial that runs alone.
Those of a stack lose their attempt by it, and the last attempt of each is alone: only then is the failure its own."""

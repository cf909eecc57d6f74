"""What a search is given: plain types that travel between processes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from model.errors import FormularyError
from search.events import TrialFailed, TrialInfeasible, Value
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec, Seeds
from search.space import Space
from search.start import Start
from trainer.config import ProxySettings

PastState = Literal["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL", "INFEASIBLE"]
UNFINISHED_STATES = frozenset({"WAITING", "RUNNING"})
VALUED_STATES = frozenset({"COMPLETE", "PRUNED"})
Values = tuple[float, ...]
"""A value of each objective, in their order."""


@dataclass(frozen=True, eq=False)
class SearchProblem:
    """Everything that a search depends on, beside what has already been run."""

    study: str
    """Label of the study, e.g. ``study-12``; the slots of its trials carry it in the Ray dashboard."""
    space: Space
    objectives: tuple[Objective, ...]
    sampler: SamplerSpec
    scheduler: SchedulerSpec
    max_trial_count: int
    parallel_trial_count: int
    resources: Resources
    storage: Path
    """Absolute path of the storage root, the same on every machine."""
    start: Start = field(default_factory=Start)
    """What is known before the first trial."""
    seeds: Seeds = field(default_factory=Seeds)
    """Whether leaders are trained again on fresh seeds."""
    allow_duplicates: bool = False
    """Whether a point is tried again when the sampler asks for it."""

    @property
    def objective(self) -> Objective:
        """The first objective: what schedulers compare and displays show."""
        return self.objectives[0]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the objectives."""
        return tuple(objective.metric for objective in self.objectives)


@dataclass(frozen=True, slots=True)
class PastTrial:
    """A trial that an earlier run of the same search has stored."""

    number: int
    parameters: Mapping[str, Value]
    attributes: Mapping[str, Value]
    state: PastState
    values: Values | None
    """The objectives; of a pruned trial, at its last evaluation."""
    evaluations: tuple[float, ...] = ()
    """The first objective at each evaluation that it made, in order: what schedulers compare."""
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

"""Rows that laws are fitted to: what a trial was, and what came out of it."""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from search.events import Value
from search.origins import CHOSEN, ORIGIN
from studies.records import Trial, TrialState

Direction = Literal["minimize", "maximize"]
Purpose = Literal["estimate", "optimise"]

DIVERGENCE_RISE = 0.5
"""A run whose cost exceeds the best of its cell by this share of it has diverged (assumed: a nearly constant prediction
costs 2 to 3 times a trained one; the Step Law tables draw the line at loss 5 where the best is 2.3)."""

SMALLEST, LARGEST = 1e-15, 1e30
"""Sizes of numbers that are fitted (assumed: no rate, loss, speed, count or number of FLOPs lies beyond them; the
powers and weights of others overflow)."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One trial as the laws see it; ``metrics`` and ``attributes`` hold what was reported."""

    number: int
    state: TrialState
    parameters: Mapping[str, Value]
    metrics: Mapping[str, float]
    attributes: Mapping[str, Value]

    @classmethod
    def from_trial(cls, trial: Trial) -> "Observation":
        """Drop from a stored trial what no law reads."""
        return cls(trial.number, trial.state, trial.parameters, trial.metrics, trial.attributes)

    def number_of(self, name: str) -> float | None:
        """The fittable number called ``name`` among parameters, metrics and attributes, else None."""
        for values in (self.parameters, self.metrics, self.attributes):
            value = values.get(name)
            if value is None or isinstance(value, (str, bool)):
                continue
            if value == 0 or SMALLEST <= abs(value) <= LARGEST:
                return float(value)
        return None


@dataclass(frozen=True, slots=True)
class FitContext:
    """What the laws must know about where the observations come from."""

    studies: tuple[str, ...]
    """Ids or labels of the studies."""
    metric: str
    direction: Direction = "minimize"
    purpose: Purpose = "estimate"
    """``optimise``: trials were chosen by outcome, so every verdict is ``exploratory``."""
    finished: bool = True
    """False: the study still runs, so every verdict is ``interim``."""
    revision: int = 1

    @property
    def sign(self) -> float:
        """1 if the metric is minimised, else -1: cost = sign x metric."""
        return 1.0 if self.direction == "minimize" else -1.0

    def formula_id(self, kind: str, variant: str = "", *regime: str) -> str:
        """Id of the law of one kind and variant at this revision; ``regime`` tells it from that of other regimes."""
        parts = ["+".join(self.studies), kind, variant, *regime, f"r{self.revision}"]
        return "-".join(part for part in parts if part)

    def cost(self, observation: Observation) -> float | None:
        """Cost of a run that reached its end, in units of the metric; None for every other run."""
        value = observation.metrics.get(self.metric)
        if observation.state is not TrialState.COMPLETE or value is None or not is_fittable(value):
            return None
        return self.sign * value


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one cell that differ in learning rate and seed only."""

    rates: tuple[float, ...]
    """Learning rates of the runs that ended well, seeds repeated."""
    costs: tuple[float, ...]
    diverged: tuple[float, ...]
    """Learning rates of runs that failed or diverged: upper bounds of the usable rates, never fitted."""


def of_the_design(trials: Sequence[Trial], purpose: Purpose) -> list[Trial]:
    """The trials that laws are fitted to: of a study that estimates, those of its declared design alone.

    Points that a user gave, and leaders that were trained again, were chosen by what somebody expected or saw.
    """
    if purpose == "optimise":
        return list(trials)
    return [trial for trial in trials if trial.attributes.get(ORIGIN) not in CHOSEN]


def is_fittable(value: float) -> bool:
    """Whether a number is finite, and of a size that can be fitted."""
    return value == 0 or SMALLEST <= abs(value) <= LARGEST


def collect_runs(observations: Sequence[Observation], context: FitContext) -> Runs:
    """Split the runs of one cell into usable and diverged ones; pruned and unfinished runs are left out."""
    usable: list[tuple[float, float]] = []
    diverged: list[float] = []
    for observation in observations:
        rate, cost = observation.number_of("learning_rate"), context.cost(observation)
        if rate is None or rate <= 0:
            continue
        if cost is not None:
            usable.append((rate, cost))
        elif observation.state in (TrialState.FAIL, TrialState.COMPLETE):
            diverged.append(rate)
    best = min((cost for _, cost in usable), default=0.0)
    limit = best + DIVERGENCE_RISE * abs(best)
    diverged += [rate for rate, cost in usable if cost > limit]
    kept = sorted((rate, cost) for rate, cost in usable if cost <= limit)
    return Runs(tuple(rate for rate, _ in kept), tuple(cost for _, cost in kept), tuple(sorted(diverged)))


def group_by(
    observations: Sequence[Observation], key: Callable[[Observation], Hashable]
) -> dict[Hashable, list[Observation]]:
    """Groups in the order in which their first member appears."""
    groups: dict[Hashable, list[Observation]] = defaultdict(list)
    for observation in observations:
        groups[key(observation)].append(observation)
    return dict(groups)


def parameter_key(observation: Observation, left_out: frozenset[str]) -> tuple[tuple[str, Value], ...]:
    """All parameters but ``left_out``, as a sorted key."""
    return tuple(sorted((name, value) for name, value in observation.parameters.items() if name not in left_out))


def levels(values: Sequence[float], tolerance: float) -> dict[float, int]:
    """Cluster positive numbers: neighbours less than ``tolerance`` (relative) apart share a level.

    Returns:
        Level index by value, counted from the smallest.
    """
    result: dict[float, int] = {}
    level, previous = 0, math.nan
    for value in sorted(set(values)):
        if previous == previous and value > previous * (1 + tolerance):
            level += 1
        result[value] = level
        previous = value
    return result


def ranges(observations: Sequence[Observation], names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each name that some observation has."""
    found: dict[str, tuple[float, float]] = {}
    for name in names:
        values = [value for value in (observation.number_of(name) for observation in observations) if value is not None]
        if values:
            found[name] = (min(values), max(values))
    return found

"""Leaders on fresh seeds: what the best settings of a study are worth where luck had no part in choosing them.

The run by which a setting became a leader is left out of its mean: of the best of many noisy values some part is luck
(the winner's curse: Capen, Clapp and Campbell, J. Petroleum Technology 23, 1971).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from search.origins import REPLICATE_OF
from studies.records import Trial, TrialState

Direction = Literal["minimize", "maximize"]
LEVEL = 0.95
"""Of the interval between winner and runner-up (the convention of all intervals here)."""


@dataclass(frozen=True, slots=True)
class Leader:
    """A setting that was trained again."""

    number: int
    """The trial by which it became a leader."""
    values: tuple[float, ...]
    """The objective on each fresh seed whose run reached its end."""
    failed: int
    """Fresh seeds whose run ended without a value."""

    @property
    def mean(self) -> float:
        """Mean over the fresh seeds."""
        return fmean(self.values)

    @property
    def standard_deviation(self) -> float | None:
        """Between fresh seeds; None of a single one."""
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def standard_error(self) -> float | None:
        """Of the mean; None of a single seed."""
        deviation = self.standard_deviation
        return None if deviation is None else deviation / math.sqrt(len(self.values))


@dataclass(frozen=True, slots=True)
class Comparison:
    """By how much the winner is better than the runner-up, in units of the objective."""

    winner: int
    runner_up: int
    difference: float
    low: float
    high: float
    level: float
    beyond_noise: bool
    """Whether the whole interval lies above 0."""


def rank_leaders(replicates: Iterable[Trial], metric: str, direction: Direction) -> list[Leader]:
    """Leaders by their mean on fresh seeds, best first; those of which a seed failed come after all others.

    A setting without any value on a fresh seed is none.
    """
    values: dict[int, list[float]] = defaultdict(list)
    failed: dict[int, int] = defaultdict(int)
    for trial in replicates:
        number = int(trial.attributes[REPLICATE_OF])
        if trial.state is TrialState.COMPLETE and metric in trial.metrics:
            values[number].append(trial.metrics[metric])
        elif trial.finished_at is not None:
            failed[number] += 1
    sign = 1.0 if direction == "minimize" else -1.0
    leaders = [Leader(number, tuple(found), failed[number]) for number, found in values.items()]
    return sorted(leaders, key=lambda leader: (leader.failed > 0, sign * leader.mean, leader.number))


def compare(leaders: Sequence[Leader], direction: Direction) -> Comparison | None:
    """Compare the winner with the runner-up; None where there are not two leaders with two seeds each.

    Welch's t interval (Biometrika 34, 1947), since settings differ in their noise. It is that of two leaders, however
    many there were: the best two of many equal ones lie closer together than any two, so that a winner is named wrongly
    more seldom, not more often (tests/studies/test_leaders.py).
    """
    if len(leaders) < 2 or any(len(leader.values) < 2 for leader in leaders[:2]):
        return None
    first, second = leaders[:2]
    sign = 1.0 if direction == "minimize" else -1.0
    difference = sign * (second.mean - first.mean)
    error, freedom = _welch(first.values, second.values)
    half = error * _quantile((1 + LEVEL) / 2, freedom) if error else 0.0
    low, high = difference - half, difference + half
    return Comparison(first.number, second.number, difference, low, high, LEVEL, low > 0)


def _welch(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float, float]:
    """Standard error of a difference of means, and its degrees of freedom (Welch and Satterthwaite)."""
    parts = [(stdev(values) ** 2 / len(values), len(values) - 1) for values in (first, second)]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0, math.inf
    return math.sqrt(variance), variance**2 / sum(part**2 / degrees for part, degrees in parts)


def _quantile(probability: float, freedom: float) -> float:
    """Of Student's t."""
    from scipy.special import stdtrit  # a moment that only a study with leaders need take

    return float(stdtrit(freedom, probability))

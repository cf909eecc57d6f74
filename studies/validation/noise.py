"""How uncertain a mean difference over few seeds is: each cell's own variance, drawn towards that of its neighbours.

A cell is one rival at one size. Its variance from three pairs of runs says little by itself: with 2 degrees of freedom
a bound is 2.9 standard errors wide. It is therefore combined with a neighbouring variance, as if that had been seen on
``PRIOR_DEGREES`` further degrees of freedom: the moderated t of Smyth (2004, Stat. Appl. Genet. Mol. Biol. 3(1),
section 4). The neighbouring variance is the larger of two: that of the same rival pooled over the sizes, because a
rival with a high learning rate may be noisier than others; and that of the same size pooled over the rivals, because
noise may change with size.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean

PRIOR_DEGREES = 2.0
"""Weight of the neighbouring variance (assumed, and chosen by simulation: with 2 no more than 5 % of validations pass
falsely where noise differs by a factor of 2 between sizes or 3 between rivals; docs/validation.md)."""

Key = tuple[int, str]
"""Of a cell: the place of its size, and its rival."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Paired differences of the recipe and one rival at one size, one for each seed."""

    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean difference."""
        return fmean(self.differences)

    @property
    def degrees(self) -> int:
        """Of its own variance."""
        return len(self.differences) - 1

    @property
    def squares(self) -> float:
        """Sum of squared deviations from the mean."""
        mean = self.mean
        return math.fsum((difference - mean) ** 2 for difference in self.differences)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its moderated standard error."""

    mean: float
    error: float
    degrees: float
    pairs: int

    @property
    def deviation(self) -> float:
        """Of one paired difference."""
        return self.error * math.sqrt(self.pairs)

    def upper(self, level: float) -> float:
        """One-sided upper bound."""
        return self.mean + self.error * t_quantile(level, self.degrees)

    def lower(self, level: float) -> float:
        """One-sided lower bound."""
        return self.mean - self.error * t_quantile(level, self.degrees)


def pooled_variance(cells: Iterable[Cell]) -> float | None:
    """Variance of a paired difference over some cells; None where none has two pairs."""
    listed = list(cells)
    degrees = sum(cell.degrees for cell in listed)
    return math.fsum(cell.squares for cell in listed) / degrees if degrees else None


def moderated(cells: Mapping[Key, Cell]) -> dict[Key, Estimate]:
    """The mean of each cell with its error; empty where no cell has two pairs, since noise is then unknown."""
    overall = pooled_variance(cells.values())
    if overall is None:
        return {}
    of_size = _pooled_by(cells, lambda key: key[0])
    of_rival = _pooled_by(cells, lambda key: key[1])
    found = {}
    for key, cell in cells.items():
        near = [variance for variance in (of_size[key[0]], of_rival[key[1]]) if variance is not None]
        degrees = PRIOR_DEGREES + cell.degrees
        variance = (PRIOR_DEGREES * max(near, default=overall) + cell.squares) / degrees
        pairs = len(cell.differences)
        found[key] = Estimate(cell.mean, math.sqrt(variance / pairs), degrees, pairs)
    return found


def _pooled_by(cells: Mapping[Key, Cell], of: Callable[[Key], Hashable]) -> dict[Hashable, float | None]:
    groups: dict[Hashable, list[Cell]] = {}
    for key, cell in cells.items():
        groups.setdefault(of(key), []).append(cell)
    return {name: pooled_variance(members) for name, members in groups.items()}


@lru_cache(maxsize=4096)
def t_quantile(probability: float, degrees: float) -> float:
    """Of Student's t."""
    from scipy.special import stdtrit  # a moment that only who reads a validation need take

    return float(stdtrit(degrees, probability))

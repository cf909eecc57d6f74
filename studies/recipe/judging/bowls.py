"""The bowl over log rate that a study's profiles share, and how far runs scatter about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.recipe.judging.cells import Cell

Floats = NDArray[np.float64]
WIDEST = math.log(6.0)
"""Runs further than this factor from the best rate of their cell are not fitted (assumed: a cubic does until there)."""
MIN_RUNS = 6
DEVIATIONS = 1.959964
"""Of the normal distribution, for 95 %."""


@dataclass(frozen=True, slots=True)
class RateBowl:
    """Excess cost = bend·x² + skew·x³, x the log of a rate over the best one of its cell."""

    bend: float
    skew: float
    covariance: Floats
    """Of both, robust to what runs of a cell share (Liang and Zeger 1986)."""
    noise: float
    """Standard deviation of a run about the bowl."""
    lowest: float
    highest: float
    """Ends of what was tried, as x."""
    cells: int
    runs: int

    def contrast(self, x: float, reference: float) -> tuple[float, float]:
        """Cost at ``x`` less that at ``reference``, and its standard error."""
        terms = np.array([x**2 - reference**2, x**3 - reference**3])
        error = math.sqrt(max(float(terms @ self.covariance @ terms), 0.0))
        return float(terms @ np.array([self.bend, self.skew])), error

    def indifference(self) -> float:
        """Factor to each side of the best rate within which the bowl rises by less than one run scatters."""
        return math.exp(min(math.sqrt(self.noise / self.bend), self.highest, -self.lowest))


def rate_bowl(cells: Sequence[Cell]) -> RateBowl | None:
    """Pool the runs of all cells about their own fitted minima; None with too few, or where they make no bowl."""
    members: list[int] = []
    distances: list[float] = []
    excesses: list[float] = []
    for number, cell in enumerate(cells):
        if cell.profile is None or cell.profile.edge != "none":
            continue
        for rate, cost in zip(cell.runs.rates, cell.runs.costs, strict=True):
            distance = math.log(rate) - cell.profile.log_rate
            if abs(distance) <= WIDEST:
                members.append(number)
                distances.append(distance)
                excesses.append(cost - cell.profile.cost)
    if len(distances) < MIN_RUNS:
        return None
    x, excess, member = np.array(distances), np.array(excesses), np.array(members)
    design = np.column_stack([x**2, x**3])
    bend, skew = np.linalg.lstsq(design, excess, rcond=None)[0]
    if bend <= 0:
        return None
    residuals = excess - design @ np.array([bend, skew])
    noise = math.sqrt(float(residuals @ residuals) / (len(x) - 2))
    covariance = _robust(design, residuals, member)
    ends = float(x.min()), float(x.max())
    return RateBowl(float(bend), float(skew), covariance, noise, *ends, len(np.unique(member)), len(x))


def _robust(design: Floats, residuals: Floats, member: NDArray[np.int64]) -> Floats:
    """Covariance by cells, or by runs where there are too few cells to tell; with the usual correction for few."""
    groups = np.unique(member)
    if len(groups) < 3:
        member = np.arange(len(residuals))
        groups = member
    scores = np.array([design[member == group].T @ residuals[member == group] for group in groups])
    bread = np.linalg.pinv(design.T @ design)
    count = len(groups)
    covariance: Floats = bread @ (scores.T @ scores) @ bread * count / (count - 1)
    return covariance

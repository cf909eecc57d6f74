"""A power law through optima of which some are only bounds: log2 value = c + g·x + e, x = log2(size / reference).

Each budget gives evidence against every place of its optimum (``optima.BudgetOptimum.against``), which is read as a
likelihood exp(-z²/2): a bowl's optimum has a peak, one beyond the tried range a slope that ends in a plateau, as a
censored observation has (Tobin 1958). Optima scatter around the law by e ~ N(0, jitter²); the jitter is integrated
over a half-normal prior, since three to five budgets cannot tell it. The interval of g is that of its profile
likelihood, open where the likelihood does not fall off.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from studies.formulas.depth_width.optima import BudgetOptimum

Floats = NDArray[np.float64]
JITTER = 0.2
"""Prior scale of optima around the law, in doublings (assumed: a depth is a whole number, and rounding 5.5 to 5 or 6
moves it by 0.14; at 0.15 intervals covered less than intended in simulation)."""
JITTERS = 8
JITTER_REACH = 2.5
STEP = 0.02
"""Between places of an optimum, in doublings."""
ROOM = 3.0
"""Doublings beyond the tried values where an optimum may lie (assumed)."""
STEEPEST = 2.0
"""Largest exponent considered, to both sides (assumed: depth or ratio grow less than with the square of the size)."""
CELLS = 41
"""Grid points along each axis; the grid is narrowed to where the likelihood is ``ROUNDS`` times."""
ROUNDS = 4
NEGLIGIBLE = 9.0
"""Log likelihood below the largest that is left out when the grid is narrowed: far outside any interval."""
DROP = 1.92
"""Log likelihood below the largest at the ends of an interval of 95 % (derived: half of χ²'s quantile, one degree)."""


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """value = 2^level · (size / reference)^exponent."""

    reference: float
    level: float
    level_ends: tuple[float | None, float | None]
    exponent: float
    exponent_ends: tuple[float | None, float | None]
    covariance: Floats
    """Of (level · ln 2, exponent), shape (2, 2)."""

    @property
    def located(self) -> bool:
        """Whether the exponent is bounded to both sides."""
        return None not in self.exponent_ends

    def at(self, size: float) -> float:
        """log2 of the value at a size."""
        return self.level + self.exponent * math.log2(size / self.reference)


def fit_power_law(budgets: Sequence[BudgetOptimum], steepest: float = STEEPEST) -> PowerLaw:
    """Fit the law to two budgets or more, with an exponent between ``-steepest`` and ``steepest``."""
    logs = np.log2([budget.size for budget in budgets])
    centre = float(logs.mean())
    low = min(float(budget.positions[0]) for budget in budgets) - ROOM
    high = max(float(budget.positions[-1]) for budget in budgets) + ROOM
    places = np.arange(low, high + STEP, STEP)
    surfaces = [_surfaces(budget, places) for budget in budgets]
    reach = steepest * float(np.abs(logs - centre).max())
    limits = ((low - reach, high + reach), (-steepest, steepest))
    box = limits
    for _ in range(ROUNDS):
        levels, exponents = (np.linspace(*ends, CELLS) for ends in box)
        table = _table(levels, exponents, logs - centre, places, surfaces)
        box = _narrowed(box, limits, table)
    best = np.unravel_index(int(np.argmax(table)), table.shape)
    return PowerLaw(
        2**centre,
        float(levels[best[0]]),
        _ends(levels, table.max(axis=1), limits[0]),
        float(exponents[best[1]]),
        _ends(exponents, table.max(axis=0), limits[1]),
        _covariance(levels * math.log(2), exponents, table),
    )


def _surfaces(budget: BudgetOptimum, places: Floats) -> Floats:
    """Likelihood of the law's value at each place, for each jitter, shape (JITTERS, places)."""
    likelihood = np.exp(-0.5 * budget.against(places) ** 2)
    return np.array([gaussian_filter1d(likelihood, jitter / STEP, mode="nearest") for jitter in _jitters()])


def _jitters() -> Floats:
    return JITTER_REACH * JITTER * (np.arange(JITTERS) + 0.5) / JITTERS


def _table(levels: Floats, exponents: Floats, x: Floats, places: Floats, surfaces: Sequence[Floats]) -> Floats:
    """Log likelihood, the jitter integrated, at each level and exponent, shape (levels, exponents)."""
    logs = np.repeat((-0.5 * (_jitters() / JITTER) ** 2)[:, None], len(levels) * len(exponents), axis=1)
    for own, surface in zip(x, surfaces, strict=True):
        predicted = (levels[:, None] + exponents * own).ravel()
        logs += np.log(np.array([np.interp(predicted, places, row) for row in surface]) + 1e-300)
    largest = logs.max(axis=0)
    table: Floats = (largest + np.log(np.exp(logs - largest).sum(axis=0))).reshape(len(levels), len(exponents))
    return table


def _narrowed(
    box: tuple[tuple[float, float], ...], limits: tuple[tuple[float, float], ...], table: Floats
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The box around the cells whose likelihood counts, a cell wider to each side."""
    likely = np.argwhere(table > table.max() - NEGLIGIBLE)
    ends = []
    for axis, (low, high) in enumerate(box):
        step = (high - low) / (CELLS - 1)
        first, last = int(likely[:, axis].min()), int(likely[:, axis].max())
        ends.append((max(low + (first - 1) * step, limits[axis][0]), min(low + (last + 1) * step, limits[axis][1])))
    return ends[0], ends[1]


def _ends(grid: Floats, profile: Floats, limits: tuple[float, float]) -> tuple[float | None, float | None]:
    """Where the profile crosses the threshold, between cells; None where it does not do so before the limit."""
    above = profile - profile.max() + DROP
    inside = np.flatnonzero(above > 0)
    first, last = int(inside[0]), int(inside[-1])
    low = _crossing(grid, above, first - 1, first) if first > 0 else _edge(float(grid[0]), limits)
    high = _crossing(grid, above, last, last + 1) if last < CELLS - 1 else _edge(float(grid[-1]), limits)
    return low, high


def _crossing(grid: Floats, above: Floats, left: int, right: int) -> float:
    """Where a line between two cells, one on each side of 0, has the value 0."""
    share = above[left] / (above[left] - above[right])
    return float(grid[left] + share * (grid[right] - grid[left]))


def _edge(end: float, limits: tuple[float, float]) -> float | None:
    """The end of a grid that the interval reaches: open where the grid ends at a limit."""
    return None if end in limits else end


def _covariance(levels: Floats, exponents: Floats, table: Floats) -> Floats:
    """Of level and exponent under flat priors on the grid."""
    weights = np.exp(table - table.max())
    weights /= weights.sum()
    means = np.array([weights.sum(axis=1) @ levels, weights.sum(axis=0) @ exponents])
    deviations = np.meshgrid(levels - means[0], exponents - means[1], indexing="ij")
    covariance: Floats = np.array([[float((weights * a * b).sum()) for b in deviations] for a in deviations])
    return covariance

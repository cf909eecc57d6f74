"""Windows around the cheapest rate of many cells at once, and parabolas in them.

The runs of all cells lie behind each other in flat arrays, with the index of their cell beside; sums over a cell are
``numpy.bincount``. C cells, n runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
MIN_RATES = 3
HUBER = 1.5
"""Residuals beyond this many robust standard deviations are weighed down (Huber 1964)."""
HUBER_MIN_RUNS = 6
HUBER_ROUNDS = 3
RECENTRINGS = 3
EDGE_SLACK = 1e-3
"""Rates this close to the end of a window belong to it: rates are often powers of two (assumed)."""
RIDGE = 1e-14
"""Of normal equations, in their diagonal (assumed: it matters only where rates are equal to six digits)."""


@dataclass(frozen=True, slots=True)
class Cells:
    """The runs of all cells, sorted by cell and rate; every cell has at least three distinct rates."""

    rates: Floats
    """Log rate of each run, shape (n,)."""
    costs: Floats
    """Of each run less the mean of its cell, shape (n,)."""
    cell: Indices
    """Shape (n,)."""
    means: Floats
    """Mean cost of each cell, shape (C,)."""
    distinct: Floats
    """Distinct log rates of each cell, behind each other, shape (m,)."""
    distinct_cell: Indices
    """Shape (m,)."""
    distinct_cost: Floats
    """Mean cost at each distinct rate, shape (m,)."""
    distinct_runs: Floats
    """Runs at each distinct rate, shape (m,)."""
    distinct_of: Indices
    """Index among the distinct rates of each run, shape (n,)."""

    @classmethod
    def of(cls, arrays: Sequence[tuple[Floats, Floats]]) -> "Cells":
        """From log rates and costs of each cell."""
        cell = np.repeat(np.arange(len(arrays)), [len(rates) for rates, _ in arrays])
        rates, costs = (np.concatenate([pair[side] for pair in arrays]) for side in (0, 1))
        order = np.lexsort((rates, cell))
        rates, costs, cell = rates[order], costs[order], cell[order]
        means = np.bincount(cell, costs) / np.bincount(cell)
        costs = costs - means[cell]
        first = np.concatenate([[True], (np.diff(rates) != 0) | (np.diff(cell) != 0)])
        distinct_of = np.cumsum(first) - 1
        runs = np.bincount(distinct_of).astype(np.float64)
        cost = np.bincount(distinct_of, costs) / runs
        return cls(rates, costs, cell, means, rates[first], cell[first], cost, runs, distinct_of)

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.means)

    @property
    def lowest(self) -> Floats:
        """Smallest log rate of each cell, shape (C,)."""
        lowest: Floats = self.distinct[self._first()]
        return lowest

    @property
    def highest(self) -> Floats:
        """Largest log rate of each cell, shape (C,)."""
        highest: Floats = self.distinct[np.append(self._first()[1:], len(self.distinct)) - 1]
        return highest

    def nearest(self, distances: Floats, place: int = 0) -> Indices:
        """Of each cell the distinct rate with the smallest distance, or the next ones; distances have shape (m,)."""
        order: Indices = np.lexsort((distances, self.distinct_cell))
        chosen: Indices = order[self._first() + place]
        return chosen

    def _first(self) -> Indices:
        return np.searchsorted(self.distinct_cell, np.arange(self.count))


@dataclass(frozen=True, slots=True)
class Windows:
    """The runs inside the windows; ``centre`` is about where parabolas are taken, shape (C,)."""

    rates: Floats
    costs: Floats
    weights: Floats
    cell: Indices
    centre: Floats

    @property
    def x(self) -> Floats:
        """Log rate of each run about the centre."""
        return self.rates - self.centre[self.cell]

    @property
    def runs(self) -> Indices:
        """Of each window, shape (C,)."""
        return np.bincount(self.cell, minlength=len(self.centre))

    def without_cubes(self, skew: float) -> "Windows":
        """The windows with a common cubic term taken off their costs."""
        return replace(self, costs=self.costs - skew * self.x**3)

    def sums(self, values: Floats) -> Floats:
        """Weighted sum over each window, shape (C,)."""
        sums: Floats = np.bincount(self.cell, self.weights * values, len(self.centre)).astype(np.float64)
        return sums

    def parabolas(self, values: Floats, precision: float = 0.0, curvature: float = 0.0) -> tuple[Floats, Floats]:
        """Parabolas in x through ``values`` by weighted least squares, with a prior on their curvature.

        Args:
            values: of each run, shape (n,).
            precision: 1 / variance of the prior, in units of the values' variance.
            curvature: its mean.

        Returns:
            Level, slope and curvature of each window, shape (C, 3), and their covariance in units of the values'
            variance, shape (C, 3, 3).
        """
        own, inverted, basis = self._standardised(values, precision, curvature)
        return np.einsum("cij,cj->ci", basis, own), basis @ inverted @ basis.transpose(0, 2, 1)

    def residuals(self, values: Floats) -> Floats:
        """What parabolas leave of ``values``, shape (n,)."""
        fitted = self._standardised(values)[0][self.cell]
        z = self._z
        rest: Floats = values - fitted[:, 0] - fitted[:, 1] * z - fitted[:, 2] * z**2
        return rest

    def slopes_removed(self, values: Floats) -> Floats:
        """What lines leave of ``values``, shape (n,)."""
        z = self._z
        information = np.stack(
            [np.stack([self.sums(z**power), self.sums(z ** (power + 1))], -1) for power in (0, 1)], 1
        )
        scores = np.stack([self.sums(values), self.sums(values * z)], axis=-1)
        fitted = np.einsum("cij,cj->ci", _inverse(information), scores)[self.cell]
        rest: Floats = values - fitted[:, 0] - fitted[:, 1] * z
        return rest

    @property
    def _place(self) -> tuple[Floats, Floats]:
        """Mean and spread of x in each window, shape (C,): powers about them are nearly independent."""
        x, runs = self.x, self.runs
        mean = np.bincount(self.cell, x, len(runs)) / runs
        square = np.bincount(self.cell, (x - mean[self.cell]) ** 2, len(runs)) / runs
        return mean, np.sqrt(square)

    @property
    def _z(self) -> Floats:
        mean, spread = self._place
        z: Floats = (self.x - mean[self.cell]) / spread[self.cell]
        return z

    def _standardised(
        self, values: Floats, precision: float = 0.0, curvature: float = 0.0
    ) -> tuple[Floats, Floats, Floats]:
        """Coefficients of 1, z, z², their covariance, and the matrix that turns them into those of 1, x, x²."""
        mean, spread = self._place
        z = (self.x - mean[self.cell]) / spread[self.cell]
        powers = [self.sums(z**power) for power in range(5)]
        information = np.stack([np.stack(powers[row : row + 3], axis=-1) for row in range(3)], axis=1)
        scores = np.stack([self.sums(values * z**power) for power in range(3)], axis=-1)
        information[:, 2, 2] += precision / spread**4
        scores[:, 2] += precision * curvature / spread**2
        inverted = _inverse(information)
        basis = np.zeros_like(information)
        basis[:, 0, 0] = 1
        basis[:, 0, 1], basis[:, 1, 1] = -mean / spread, 1 / spread
        basis[:, 0, 2], basis[:, 1, 2], basis[:, 2, 2] = (mean / spread) ** 2, -2 * mean / spread**2, 1 / spread**2
        return np.einsum("cij,cj->ci", inverted, scores), inverted, basis


def _inverse(information: Floats) -> Floats:
    """Of symmetric matrices whose rows may have very different sizes, shape (C, k, k)."""
    scale = np.sqrt(np.maximum(np.einsum("cii->ci", information), 1e-300))
    outer = scale[:, :, None] * scale[:, None, :]
    size = information.shape[-1]
    return np.asarray(np.linalg.inv(information / outer + RIDGE * np.eye(size)) / outer, dtype=np.float64)


def centred_windows(cells: Cells, half_width: float) -> Windows:
    """Windows around the minima, moved to the fitted vertices until they stay; then outliers are weighed down."""
    centre = cells.distinct[cells.nearest(cells.distinct_cost)]
    moving = np.ones(cells.count, dtype=np.bool_)
    windows = _windows(cells, centre, half_width)
    for _ in range(RECENTRINGS):
        _, slope, curvature = windows.parabolas(windows.costs)[0].T
        moving &= curvature > 0
        vertex = centre - slope / np.where(curvature > 0, 2 * curvature, 1.0)
        nearest = cells.distinct[cells.nearest(np.abs(cells.distinct - vertex[cells.distinct_cell]))]
        moving &= nearest != centre
        if not moving.any():
            break
        centre = np.where(moving, nearest, centre)
        windows = _windows(cells, centre, half_width)
    return _robust(windows)


def _windows(cells: Cells, centre: Floats, half_width: float) -> Windows:
    """Runs within the half-width, or as many rates as a parabola needs."""
    distances = np.abs(cells.distinct - centre[cells.distinct_cell])
    third = distances[cells.nearest(distances, MIN_RATES - 1)]
    reach = np.maximum(third, half_width) + EDGE_SLACK
    inside = np.abs(cells.rates - centre[cells.cell]) <= reach[cells.cell]
    cell = cells.cell[inside]
    return Windows(cells.rates[inside], cells.costs[inside], np.ones(len(cell)), cell, centre)


def _robust(windows: Windows) -> Windows:
    runs = windows.runs
    many = (runs >= HUBER_MIN_RUNS)[windows.cell]
    if not many.any():
        return windows
    factor = HUBER * 1.4826 * np.sqrt(runs / np.maximum(runs - 3, 1))
    for _ in range(HUBER_ROUNDS):
        residuals = np.abs(windows.residuals(windows.costs))
        limit = (factor * _medians(residuals, windows.cell, runs))[windows.cell]
        weights = np.maximum(np.minimum(1.0, limit / np.maximum(residuals, 1e-200)), 1e-3)
        windows = replace(windows, weights=np.where(many, weights, 1.0))
    return windows


def _medians(values: Floats, cell: Indices, counts: Indices) -> Floats:
    """Of each cell; cells are sorted and not empty."""
    ordered = values[np.lexsort((values, cell))]
    start = np.cumsum(counts) - counts
    medians: Floats = (ordered[start + (counts - 1) // 2] + ordered[start + counts // 2]) / 2
    return medians


def scatter_between_seeds(cells: Cells) -> tuple[float, float]:
    """Sum of squares of runs about the mean of their rate, and its degrees of freedom."""
    rest = cells.costs - cells.distinct_cost[cells.distinct_of]
    return float(rest @ rest), float(len(rest) - len(cells.distinct))


def scatter_about_parabolas(windows: Windows) -> tuple[float, float]:
    """The same about each window's own parabola."""
    rest = windows.residuals(windows.costs)
    return float(windows.weights @ rest**2), float(np.maximum(windows.runs - 3, 0).sum())


def scatter_about_shared_curvature(windows: Windows) -> tuple[float, float]:
    """The same about parabolas that share one curvature; its differences between cells count as noise."""
    plain = replace(windows, weights=np.ones(len(windows.rates)))
    response, bend = plain.slopes_removed(plain.costs), plain.slopes_removed(plain.x**2)
    rest = response - bend * float(bend @ response) / float(bend @ bend)
    return float(rest @ rest), float((windows.runs - 2).sum() - 1)


def windows_with_more(windows: Windows, rates: int) -> NDArray[np.bool_]:
    """Windows with more distinct rates than ``rates``, shape (C,)."""
    order = np.lexsort((windows.rates, windows.cell))
    own, cell = windows.rates[order], windows.cell[order]
    first = np.concatenate([[True], (np.diff(own) != 0) | (np.diff(cell) != 0)])
    return np.asarray(np.bincount(cell[first], minlength=len(windows.centre)) > rates)

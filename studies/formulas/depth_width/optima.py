"""The best depth, or the best width-to-depth ratio, of each of several budgets, and how surely it lies where.

One regression on all budgets: each has an intercept, a slope and a curvature of its own over v = log2(value); the
curvatures are shrunk towards a common one, and a cubic term that all share is shrunk towards 0, so that three shapes
are enough for a budget where others tell how bowls bend. Inside a budget, log size is a covariate.

A budget whose optimum lies beyond what was tried is not dropped: its slopes rule out one side and leave the other open.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from studies.formulas.depth_width.architectures import Architecture
from studies.formulas.depth_width.forms import MIN_RATIO_RANGE, OWN, SKEW, build_problem
from studies.formulas.fitting.budget import split_budgets
from studies.formulas.fitting.covariates import covariate_columns
from studies.formulas.fitting.fit import Fit, Problem, determined, fit

Floats = NDArray[np.float64]
BUDGET_FACTOR = 1.5
"""Largest over smallest size within one budget; its effect inside a budget is a covariate (assumed)."""
MIN_SHAPES = 3
"""Distinct values in a budget, without which its curvature is unknown (derived: a parabola has three coefficients)."""
CURVATURE_SPREAD = 0.3
"""Prior scale of the relative spread of curvatures between budgets (assumed)."""
MIN_SIZE_RANGE = 0.02
"""Doublings over which sizes inside budgets must vary to have an effect of their own (assumed)."""
MIN_FREEDOM = 3
POSITIONS = 121
SAME_VALUE = 1e-6
LEAST_CHANCE = 1e-12
"""Smallest posterior probability that is told from zero (assumed: seven standard deviations)."""
THRESHOLD = 1.96
"""Standard deviations at which a position is ruled out (derived: a two-sided interval of 95 %)."""

Value = Callable[[Architecture], float | None]
Group = list[Architecture]


@dataclass(frozen=True, slots=True)
class BudgetOptimum:
    """What one budget says of its optimum."""

    size: float
    """Geometric mean of its architectures' sizes."""
    rows: int
    runs: int
    positions: Floats
    """v = log2(value) over the tried range, ascending, shape (POSITIONS,)."""
    must_lie_below: Floats
    """Standard deviations by which the cost rises somewhere up to each position: evidence that the optimum is below."""
    must_lie_above: Floats
    """Standard deviations by which the cost falls somewhere from each position on: evidence that it lies above."""

    def against(self, v: Floats) -> Floats:
        """Standard deviations of evidence against the optimum at each ``v``; beyond the tried range that of its end."""
        below = np.interp(v, self.positions, self.must_lie_below, left=0.0)
        above = np.interp(v, self.positions, self.must_lie_above, right=0.0)
        return np.maximum(below, above)

    @property
    def low(self) -> float | None:
        """Largest position below which the optimum is ruled out; None where the lowest tried one is not."""
        ruled_out = np.flatnonzero(self.must_lie_above > THRESHOLD)
        return float(self.positions[ruled_out[-1]]) if len(ruled_out) else None

    @property
    def high(self) -> float | None:
        """Smallest position above which the optimum is ruled out; None where the highest tried one is not."""
        ruled_out = np.flatnonzero(self.must_lie_below > THRESHOLD)
        return float(self.positions[ruled_out[0]]) if len(ruled_out) else None

    @property
    def likeliest(self) -> float:
        """Where the evidence is least, the ends of what was tried among it."""
        return float(self.positions[np.argmin(np.maximum(self.must_lie_below, self.must_lie_above))])

    @property
    def estimate(self) -> float | None:
        """Where the evidence is least; None where that is an end of what was tried."""
        best = self.likeliest
        return best if self.positions[0] < best < self.positions[-1] else None


@dataclass(frozen=True, slots=True)
class Optima:
    """All budgets that have shapes enough, smallest first."""

    budgets: tuple[BudgetOptimum, ...]
    left_out: tuple[float, ...]
    """Sizes of the budgets with too few shapes."""
    jitter: float


def find_optima(rows: Sequence[Architecture], convention: str, value: Value) -> Optima:
    """Fit all budgets together; none where they do not determine the curvature of their bowls."""
    wide, narrow = group_budgets(rows, convention, value)
    left_out = tuple(_mean_size(group, convention) for group in narrow)
    design = _Design.of(wide, convention, value) if len(wide) > 1 else None
    fitted = design.fit() if design else None
    if design is None or fitted is None:
        return Optima((), left_out, math.nan)
    budgets = [
        BudgetOptimum(
            _mean_size(group, convention), len(group), sum(row.runs for row in group), *design.evidence(fitted, place)
        )
        for place, group in enumerate(wide)
    ]
    return Optima(tuple(budgets), left_out, fitted.jitter)


def group_budgets(rows: Sequence[Architecture], convention: str, value: Value) -> tuple[list[Group], list[Group]]:
    """The budgets that have shapes enough, and those that have too few, each smallest first."""
    known = [row for row in rows if convention in row.sizes and (value(row) or 0) > 0]
    groups = [[known[place] for place in places] for places in split_budgets(_sizes(known, convention), BUDGET_FACTOR)]
    wide = [group for group in groups if _shapes(group, value) >= MIN_SHAPES]
    return wide, [group for group in groups if _shapes(group, value) < MIN_SHAPES]


def _sizes(rows: Sequence[Architecture], convention: str) -> list[float]:
    return [row.sizes[convention] for row in rows]


def _mean_size(rows: Sequence[Architecture], convention: str) -> float:
    return math.exp(float(np.log(_sizes(rows, convention)).mean()))


def _shapes(rows: Sequence[Architecture], value: Value) -> int:
    return len(split_budgets([value(row) or 1.0 for row in rows], 1 + SAME_VALUE))


@dataclass(frozen=True, slots=True)
class _Design:
    """Rows of all budgets; ``v`` is centred inside each."""

    rows: tuple[Architecture, ...]
    groups: NDArray[np.intp]
    v: Floats
    centres: Floats
    """Mean log2 value of each budget, shape (budgets,)."""
    others: Floats
    """Log size inside budgets, FFN ratio and covariates, shape (rows, columns)."""

    @classmethod
    def of(cls, budgets: Sequence[Sequence[Architecture]], convention: str, value: Value) -> "_Design":
        rows = tuple(row for budget in budgets for row in budget)
        groups = np.repeat(np.arange(len(budgets)), [len(budget) for budget in budgets])
        values = np.log2([value(row) or 1.0 for row in rows])
        centres = np.array([values[groups == place].mean() for place in range(len(budgets))])
        others = np.column_stack(_other_columns(rows, groups, convention))
        return cls(rows, groups, values - centres[groups], centres, others)

    def fit(self) -> Fit | None:
        """Own curvatures and a common cubic where determined, else one curvature; None where not even that is."""
        own, common = self._columns(own_curvatures=True), self._columns(own_curvatures=False)
        simple = self._fit(common)
        if simple is None:
            return None
        scale = abs(float(simple.mean()[-1 - self.others.shape[1]]))
        full = self._fit(own) if scale > 0 else None
        if full is None:
            return _with_zeros(simple, len(self.centres), self.others.shape[1])
        count = len(self.centres)
        size = full.means.shape[1]
        spread = np.zeros((count - 1, size))
        spread[:, 1 + count : 1 + 2 * count] = _differences(count)
        return full.restrained(spread, CURVATURE_SPREAD * scale).shrunk(1 + 2 * count, SKEW * scale)

    def evidence(self, fitted: Fit, place: int) -> tuple[Floats, Floats, Floats]:
        """Positions, and the evidence that the optimum of a budget lies below and above each."""
        own, count = self.v[self.groups == place], len(self.centres)
        positions = np.linspace(own.min(), own.max(), POSITIONS)
        slopes = np.zeros((POSITIONS, fitted.means.shape[1]))
        slopes[:, 1 + place] = 1.0
        slopes[:, 1 + count + place] = 2 * positions
        slopes[:, 1 + 2 * count] = 3 * positions**2
        chances = np.clip(fitted.probabilities_positive(slopes), LEAST_CHANCE, 1 - LEAST_CHANCE)
        deviations = np.maximum(ndtri(chances), 0.0), np.maximum(-ndtri(chances), 0.0)
        rises = np.maximum.accumulate(deviations[0])
        falls = np.maximum.accumulate(deviations[1][::-1])[::-1]
        return positions + self.centres[place], rises, falls

    def _columns(self, own_curvatures: bool) -> Floats:
        indicators = np.eye(len(self.centres))[self.groups]
        slopes = indicators * self.v[:, None]
        squares = indicators * self.v[:, None] ** 2 if own_curvatures else self.v[:, None] ** 2
        cubes = [self.v**3] if own_curvatures else []
        return np.column_stack([slopes, squares, *cubes, self.others])

    def _fit(self, columns: Floats) -> Fit | None:
        freedom = len(self.rows) - len(self.centres) - columns.shape[1]
        if freedom < MIN_FREEDOM or not determined(columns, self.groups):
            return None
        return fit(
            _grouped(build_problem(self.rows, np.column_stack([columns, self._dummies()])), columns, self.groups)
        )

    def _dummies(self) -> Floats:
        """Indicators of all budgets but the first, for the residual scale."""
        return np.eye(len(self.centres))[self.groups][:, 1:]


def _grouped(problem: Problem, columns: Floats, groups: NDArray[np.intp]) -> Problem:
    return Problem(problem.response, columns, problem.variances, groups, problem.jitter_scale)


def _differences(count: int) -> Floats:
    """Orthonormal contrasts between ``count`` numbers, shape (count - 1, count) (Helmert)."""
    rows = [[1.0] * place + [-float(place)] + [0.0] * (count - place - 1) for place in range(1, count)]
    return np.array([np.array(row) / math.sqrt(place * (place + 1)) for place, row in enumerate(rows, 1)])


def _with_zeros(simple: Fit, count: int, others: int) -> Fit:
    """A fit with one curvature, written as one with a curvature for each budget and a cubic term of 0."""
    size = simple.means.shape[1]
    spread = np.zeros((1 + 2 * count + 1 + others, size))
    spread[: 1 + count, : 1 + count] = np.eye(1 + count)
    spread[1 + count : 1 + 2 * count, 1 + count] = 1.0
    spread[2 + 2 * count :, 2 + count :] = np.eye(others)
    means, covariances = simple.means @ spread.T, spread @ simple.covariances @ spread.T
    return Fit(simple.weights, means, covariances, simple.intercepts, simple.jitter, simple.spread)


def _other_columns(rows: Sequence[Architecture], groups: NDArray[np.intp], convention: str) -> list[Floats]:
    """Columns that vary inside budgets and are not combinations of those before them."""
    x = np.log2(_sizes(rows, convention))
    ratios = [row.ffn_ratio for row in rows if row.ffn_ratio]
    logs = np.log2(ratios) if len(ratios) == len(rows) else np.zeros(len(rows))
    _, covariates = covariate_columns([row.parameters for row in rows], OWN)
    kept = np.zeros((len(rows), 0))
    for column, least in [(x, MIN_SIZE_RANGE), (logs, MIN_RATIO_RANGE), *((each, SAME_VALUE) for each in covariates.T)]:
        inside = column - np.array([column[groups == place].mean() for place in range(int(groups.max()) + 1)])[groups]
        wider = np.column_stack([kept, inside])
        if float(np.ptp(inside)) > least and np.linalg.matrix_rank(wider, tol=SAME_VALUE) > kept.shape[1]:
            kept = wider
    return [kept]

"""The loss as a quadratic surface over budget and shape, and its ridge: the best shape at each budget.

    y = g(C) + b'z + C m'z + z'Q z,   g quadratic, C = log2 of the budget, z = log2 of the free dimensions

is lowest at z*(C) = -(b + C m)/2Q: a power law of the budget, whose exponents are -Q⁻¹m/2. The ridge is the Pareto
front of loss and budget as all networks tell it. TinyNet (arXiv 2010.14819, section 3.3) regresses the dimensions of
the networks on the front instead; those were selected by their outcome, which draws the exponents towards 0 where the
front leaves the middle of what was tried.

The distribution of the exponents is that of ratios of coefficients, whose errors are heteroscedastic-consistent (HC3:
MacKinnon and White 1985) and t-distributed. Draws in which the surface has no minimum count for both ends, so that an
interval is open where the data show no bowl (as Fieller's sets are).
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from studies.formulas.fitting.fit import Interval

Floats = NDArray[np.float64]
DRAWS = 2000
SEED = 0
"""Of the draws: a fit gives the same numbers each time."""
DEPENDENT = 0.15
"""A dimension is tied by the budget where the others leave this share of its spread at most (assumed)."""
MOST_LEVERAGE = 0.98


@dataclass(frozen=True, slots=True)
class Shape:
    """Logs to base 2 about their means, n networks: budget (n,), dimensions (n, p), covariates (n, c), loss (n,)."""

    budget: Floats
    dimensions: Floats
    covariates: Floats
    loss: Floats
    budget_centre: float
    centres: Floats
    """Shape (p,)."""
    free: tuple[int, ...]
    """Dimensions that the budget leaves free; the others follow from it and them."""

    @classmethod
    def of(cls, budgets: Floats, dimensions: Floats, covariates: Floats, loss: Floats) -> "Shape":
        """From positive numbers."""
        budget, logs = np.log2(budgets), np.log2(dimensions)
        centre, centres = float(budget.mean()), logs.mean(axis=0)
        shape = cls(budget - centre, logs - centres, covariates, loss, centre, centres, tuple(range(logs.shape[1])))
        return replace(shape, free=_free(shape))

    def only(self, kept: NDArray[np.bool_]) -> "Shape":
        """Some of the networks, about the same centres."""
        budget, dimensions, covariates = self.budget[kept], self.dimensions[kept], self.covariates[kept]
        return replace(self, budget=budget, dimensions=dimensions, covariates=covariates, loss=self.loss[kept])

    @property
    def columns(self) -> Floats:
        """The columns of the surface: 1, C, C², z, C z, squares, products, covariates."""
        z = self.dimensions[:, self.free]
        return np.column_stack([*_surface_columns(self.budget, z).T, self.covariates])


def _surface_columns(budget: Floats, z: Floats) -> Floats:
    free = z.shape[1]
    products = [z[:, i] * z[:, j] for i, j in combinations(range(free), 2)]
    base = [np.ones(len(budget)), budget, budget**2]
    return np.column_stack([*base, z, budget[:, None] * z, z**2, *products])


def _free(shape: Shape) -> tuple[int, ...]:
    """All dimensions but one that budget and others tie: width before the others (index 1), then from the last on."""
    count = shape.dimensions.shape[1]
    for index in sorted(range(count), key=lambda at: (at != 1, -at)):
        rest = [other for other in range(count) if other != index]
        columns = _surface_columns(shape.budget, shape.dimensions[:, rest])
        own = shape.dimensions[:, index]
        if len(own) > columns.shape[1] and _rest(columns, own) < DEPENDENT * float(own.std()):
            return tuple(rest)
    return tuple(range(count))


def _rest(columns: Floats, response: Floats) -> float:
    """Residual standard deviation of least squares."""
    residuals = response - columns @ np.linalg.lstsq(columns, response, rcond=None)[0]
    return math.sqrt(float(residuals @ residuals) / (len(response) - columns.shape[1]))


@dataclass(frozen=True, slots=True)
class Ridge:
    """Where the fitted surface is lowest at each budget; ``draws`` are m draws of the same."""

    levels: Floats
    """Log2 of each dimension at the mean budget, about its centre, shape (p,)."""
    exponents: Floats
    """Of each dimension, shape (p,)."""
    draws: Floats
    """Levels and exponents, shape (m, 2, p)."""
    bowls: NDArray[np.bool_]
    """Draws whose surface has a minimum, shape (m,)."""
    bowl: bool
    """Whether the fitted surface has one."""
    residuals: Floats
    """Of the loss, shape (n,)."""
    left_out: Floats
    """Errors of the loss of each network by the surface fitted to the others, shape (n,)."""


def find_ridge(shape: Shape, level: float) -> Ridge:
    """Fit the surface and follow its ridge."""
    columns = shape.columns
    solution, covariance, residuals, left_out = regression(columns, shape.loss)
    freedom = len(columns) - columns.shape[1]
    generator = np.random.default_rng(SEED)
    normal = generator.standard_normal((DRAWS, len(solution))) @ _root(covariance).T
    wide = float(stdtrit(freedom, (1 + level) / 2) / stdtrit(1e6, (1 + level) / 2))
    sizes = 3 + 3 * len(shape.free) + len(shape.free) * (len(shape.free) - 1) // 2
    (fitted, bowl), (draws, bowls) = (
        _optima(coefficients[:, :sizes], shape) for coefficients in (solution[None], solution + wide * normal)
    )
    return Ridge(fitted[0, 0], fitted[0, 1], draws, bowls, bool(bowl[0]), residuals, left_out)


def regression(columns: Floats, response: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Coefficients, their HC3 covariance, residuals, and leave-one-out errors."""
    norms = np.linalg.norm(columns, axis=0)
    norms = np.where(norms > 0, norms, 1.0)
    scaled = columns / norms
    inverse = np.linalg.pinv(scaled.T @ scaled, hermitian=True)
    solution = inverse @ (scaled.T @ response)
    residuals = response - scaled @ solution
    leverage = np.minimum(np.einsum("ni,ij,nj->n", scaled, inverse, scaled), MOST_LEVERAGE)
    left_out = residuals / (1 - leverage)
    weighted = scaled * left_out[:, None]
    covariance = inverse @ (weighted.T @ weighted) @ inverse
    return solution / norms, covariance / np.outer(norms, norms), residuals, left_out


def _root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return root


def _optima(coefficients: Floats, shape: Shape) -> tuple[Floats, NDArray[np.bool_]]:
    """Levels and exponents of every dimension, shape (m, 2, p), and whether there is a minimum."""
    free = len(shape.free)
    slopes, drifts = coefficients[:, 3 : 3 + free], coefficients[:, 3 + free : 3 + 2 * free]
    squares, products = coefficients[:, 3 + 2 * free : 3 + 3 * free], coefficients[:, 3 + 3 * free :]
    curvature = np.zeros((len(coefficients), free, free))
    curvature[:, range(free), range(free)] = 2 * squares
    for place, (i, j) in enumerate(combinations(range(free), 2)):
        curvature[:, i, j] = curvature[:, j, i] = products[:, place]
    values = np.linalg.eigvalsh(curvature)
    bowls = values[:, 0] > 1e-9 * np.abs(values).max(axis=1)
    solvable = np.where(bowls[:, None, None], curvature, np.eye(free))
    both = np.linalg.solve(solvable, -np.stack([slopes, drifts], axis=-1))
    found = np.zeros((len(coefficients), 2, shape.dimensions.shape[1]))
    found[:, :, shape.free] = both.transpose(0, 2, 1)
    for index in set(range(shape.dimensions.shape[1])) - set(shape.free):
        found[:, :, index] = _tied(shape, index, found[:, :, shape.free])
    return found, bowls


def _tied(shape: Shape, index: int, ridge: Floats) -> Floats:
    """Level and exponent of a dimension that budget and free ones tie, along their ridges, shape (m, 2)."""
    columns = _surface_columns(shape.budget, shape.dimensions[:, shape.free])
    tie = np.linalg.lstsq(columns, shape.dimensions[:, index], rcond=None)[0]
    ends = [float(shape.budget.min()), float(shape.budget.max())]
    low, high = (_surface_columns(np.full(len(ridge), at), ridge[:, 0] + at * ridge[:, 1]) @ tie for at in ends)
    exponent = (high - low) / (ends[1] - ends[0])
    return np.stack([low - ends[0] * exponent, exponent], axis=1)


def interval(estimate: float, draws: Floats, bowls: NDArray[np.bool_], level: float) -> Interval:
    """Equal-tailed interval; its ends are infinite where draws without a minimum reach them."""
    tail = (1 - level) / 2
    without = 1 - float(bowls.mean())
    if without >= 2 * tail:
        return Interval(estimate, -math.inf, math.inf)
    share = (tail - without / 2) / (1 - without)
    low, high = np.quantile(draws[bowls], [share, 1 - share])
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate))

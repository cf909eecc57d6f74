"""Linear models of few observations with known and unknown scatter: the estimator that the laws share.

    y_i = intercept_g + (b + d_g z_i) x_i + e_i,   e_i ~ N(0, v_i + jitter²),   d_g ~ N(0, spread²)

``v_i`` is known from the profile fits. Jitter between cells and spread between groups are integrated over a grid
with half-normal priors instead of being estimated: with two to five groups an estimate of the spread is often 0 and
the interval then too short (Röver 2020, J. Stat. Softw. 93(6); Friede et al. 2017, Res. Synth. Methods 8(1)).
Intercepts and slopes have flat priors, so that given both scales this is REML generalised least squares.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]
GRID_POINTS = 16
GRID_REACH = 3.5
"""Largest scale on the grid, in units of the prior's scale."""
BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """What is regressed.

    Args:
        response: y, shape (n,).
        columns: covariates without the intercept, shape (n, k).
        variances: known variance of each y, shape (n,).
        groups: index 0 … G-1 of the intercept of each y, shape (n,).
        jitter_scale: prior scale of the jitter, in units of y.
        spread_scale: prior scale of the spread of the first column's slope between groups; 0: the slope is common.
    """

    response: Floats
    columns: Floats
    variances: Floats
    groups: NDArray[np.intp]
    jitter_scale: float
    spread_scale: float = 0.0

    def only(self, kept: NDArray[np.bool_]) -> "Problem":
        """The same problem on the rows in ``kept``; empty groups are closed up."""
        _, groups = np.unique(self.groups[kept], return_inverse=True)
        columns, variances = self.columns[kept], self.variances[kept]
        return Problem(self.response[kept], columns, variances, groups, self.jitter_scale, self.spread_scale)

    def with_response(self, response: Floats) -> "Problem":
        """The same problem with another response."""
        return Problem(response, self.columns, self.variances, self.groups, self.jitter_scale, self.spread_scale)

    def with_columns(self, columns: Floats) -> "Problem":
        """The same problem with other covariates."""
        return Problem(self.response, columns, self.variances, self.groups, self.jitter_scale, self.spread_scale)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its ends."""

    estimate: float
    low: float
    high: float

    def excludes_zero(self) -> bool:
        """Whether both ends lie on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, slots=True)
class Fit:
    """A mixture of normals over the grid of scales: m components, k slopes after the mean intercept.

    Parameters are (mean intercept at zero covariates, slope 1 … slope k).
    """

    weights: Floats
    """Shape (m,), summing to 1."""
    means: Floats
    """Shape (m, 1 + k)."""
    covariances: Floats
    """Shape (m, 1 + k, 1 + k)."""
    intercepts: Floats
    """Of each group, shape (G,)."""
    jitter: float
    """Posterior mean of the jitter, in units of y."""
    spread: float
    """Posterior mean of the spread of the first slope between groups."""

    def mean(self) -> Floats:
        """Posterior mean of the parameters, shape (1 + k,)."""
        mean: Floats = self.weights @ self.means
        return mean

    def covariance(self) -> Floats:
        """Posterior covariance of the parameters, shape (1 + k, 1 + k)."""
        centred = self.means - self.mean()
        within: Floats = np.einsum("m,mij->ij", self.weights, self.covariances)
        between: Floats = np.einsum("m,mi,mj->ij", self.weights, centred, centred)
        return within + between

    def interval(self, contrast: Floats, level: float) -> Interval:
        """Equal-tailed interval of ``contrast @ parameters``."""
        centres, spreads = self._components(contrast)
        tail = (1 - level) / 2
        return Interval(
            float(self.weights @ centres),
            _quantile(self.weights, centres, spreads, tail),
            _quantile(self.weights, centres, spreads, 1 - tail),
        )

    def probability_positive(self, contrast: Floats) -> float:
        """Posterior probability that ``contrast @ parameters`` is above zero."""
        centres, spreads = self._components(contrast)
        return float(self.weights @ ndtr(centres / spreads))

    def with_level_error(self, error: float) -> "Fit":
        """The fit with an error that all rows share, which moves the intercept alone."""
        covariances = self.covariances.copy()
        covariances[:, 0, 0] += error**2
        return replace(self, covariances=covariances)

    def probabilities_positive(self, contrasts: Floats) -> Floats:
        """Posterior probability that each of ``contrasts`` (shape (n, 1 + k)) of the parameters is above zero."""
        centres = self.means @ contrasts.T
        variances = np.einsum("ni,mij,nj->mn", contrasts, self.covariances, contrasts, optimize=True)
        chances: Floats = self.weights @ ndtr(centres / np.sqrt(np.maximum(variances, 1e-300)))
        return chances

    def first(self, count: int) -> "Fit":
        """The fit of the first ``count`` parameters alone."""
        return replace(self, means=self.means[:, :count], covariances=self.covariances[:, :count, :count])

    def shrunk(self, index: int, scale: float) -> "Fit":
        """The fit with the normal prior N(0, scale²) on one parameter instead of a flat one; intercepts are kept."""
        return self.restrained(np.eye(self.means.shape[1])[[index]], scale)

    def restrained(self, contrasts: Floats, scale: float) -> "Fit":
        """The fit with independent priors N(0, scale²) on ``contrasts @ parameters``; intercepts are kept.

        Args:
            contrasts: orthogonal rows, shape (r, 1 + k).
            scale: in units of the contrasts.
        """
        cross = self.covariances @ contrasts.T
        own = contrasts @ cross + scale**2 * np.eye(len(contrasts))
        values = self.means @ contrasts.T
        gain = np.linalg.solve(own, np.swapaxes(cross, 1, 2))
        means = self.means - np.einsum("mr,mri->mi", values, gain)
        covariances = self.covariances - cross @ gain
        distance = np.einsum("mr,mr->m", values, np.linalg.solve(own, values[:, :, None])[:, :, 0])
        logs = np.log(self.weights + 1e-300) - 0.5 * (np.linalg.slogdet(own)[1] + distance)
        weights = np.exp(logs - logs.max())
        return replace(self, weights=weights / weights.sum(), means=means, covariances=covariances)

    def _components(self, contrast: Floats) -> tuple[Floats, Floats]:
        variances = np.einsum("i,mij,j->m", contrast, self.covariances, contrast)
        return self.means @ contrast, np.sqrt(np.maximum(variances, 1e-300))


def _quantile(weights: Floats, centres: Floats, spreads: Floats, probability: float) -> float:
    low, high = float((centres - 12 * spreads).min()), float((centres + 12 * spreads).max())
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if weights @ ndtr((middle - centres) / spreads) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def scale_grid(scale: float, points: int = GRID_POINTS) -> tuple[Floats, Floats]:
    """Scales, dense near zero, and the log of prior density times spacing."""
    if scale <= 0:
        return np.zeros(1), np.zeros(1)
    steps = (np.arange(points) + 0.5) / points
    return GRID_REACH * scale * steps**2, np.log(steps) - 0.5 * (GRID_REACH * steps**2) ** 2


@dataclass(frozen=True, slots=True)
class _Moments:
    """Weighted sums at one jitter, group intercepts removed."""

    information: Floats
    score: Floats
    response: float
    slope_scores: Floats
    slope_information: Floats
    slope_response: Floats
    log_determinant: float
    group_weights: Floats
    group_columns: Floats
    group_response: Floats


def _moments(problem: Problem, jitter: float) -> _Moments:
    weights = 1 / (problem.variances + jitter**2)
    count = int(problem.groups.max()) + 1
    total = np.bincount(problem.groups, weights, count).astype(np.float64)
    stacked = np.column_stack([problem.columns, problem.response])
    sums = np.array([np.bincount(problem.groups, weights * column, count) for column in stacked.T]).T
    centres = sums / total[:, None]
    centred = stacked - centres[problem.groups]
    products = centred.T @ (weights[:, None] * centred)
    slope = weights[:, None] * centred[:, :1] * centred
    slopes = np.array([np.bincount(problem.groups, column, count) for column in slope.T]).T
    return _Moments(
        products[:-1, :-1],
        products[:-1, -1],
        float(products[-1, -1]),
        slopes[:, :-1],
        slopes[:, 0],
        slopes[:, -1],
        float(-np.log(weights).sum() + np.log(total).sum()),
        total,
        centres[:, :-1],
        centres[:, -1],
    )


@dataclass(frozen=True, slots=True)
class _Components:
    """The model at one jitter and every spread (S of them)."""

    logs: Floats
    """Log marginal likelihood, shape (S,)."""
    means: Floats
    covariances: Floats


def _components(moments: _Moments, spreads: Floats) -> _Components:
    """Random slopes enter by Woodbury's identity, one rank for each group."""
    squares = spreads[:, None] ** 2
    growth = 1 + squares * moments.slope_information
    gain = squares / growth
    outer = np.einsum("gi,gj->gij", moments.slope_scores, moments.slope_scores)
    information = moments.information - np.einsum("sg,gij->sij", gain, outer)
    score = moments.score - np.einsum("sg,g,gi->si", gain, moments.slope_response, moments.slope_scores)
    response = moments.response - gain @ moments.slope_response**2
    covariances = np.linalg.inv(information)
    slopes = np.einsum("sij,sj->si", covariances, score)
    determinant = moments.log_determinant + np.log(growth).sum(axis=1) + np.linalg.slogdet(information)[1]
    logs = -0.5 * (determinant + response - np.einsum("si,si->s", score, slopes))
    return _Components(logs, *_with_intercept(moments, slopes, covariances))


def _with_intercept(moments: _Moments, slopes: Floats, covariances: Floats) -> tuple[Floats, Floats]:
    """Add the mean intercept to slopes (S, k) and covariances (S, k, k)."""
    centre = moments.group_columns.mean(axis=0)
    size = len(centre) + 1
    full = np.empty((len(slopes), size, size))
    full[:, 1:, 1:] = covariances
    full[:, 0, 1:] = full[:, 1:, 0] = -covariances @ centre
    level_variance = float((1 / moments.group_weights).sum()) / len(moments.group_weights) ** 2
    full[:, 0, 0] = level_variance + np.einsum("i,sij,j->s", centre, covariances, centre)
    return np.column_stack([moments.group_response.mean() - slopes @ centre, slopes]), full


def fit(problem: Problem) -> Fit:
    """Fit the model of this module.

    Raises:
        numpy.linalg.LinAlgError: the covariates do not determine the slopes; check ``determined`` first.
    """
    jitters, jitter_priors = scale_grid(problem.jitter_scale)
    spreads, spread_priors = scale_grid(problem.spread_scale if problem.groups.max() > 0 else 0.0)
    parts = [_components(_moments(problem, float(jitter)), spreads) for jitter in jitters]
    logs = np.array([part.logs for part in parts]) + jitter_priors[:, None] + spread_priors
    table = np.exp(logs - logs.max())
    table /= table.sum()
    means, covariances = (np.concatenate([getattr(part, name) for part in parts]) for name in ("means", "covariances"))
    jitter, spread = float(table.sum(axis=1) @ jitters), float(table.sum(axis=0) @ spreads)
    moments = _moments(problem, jitter)
    slopes = (table.ravel() @ means)[1:]
    intercepts = moments.group_response - moments.group_columns @ slopes
    return Fit(table.ravel(), means, covariances, intercepts, jitter, spread)


def covariance_evidence(
    fitted: Fit, names: Sequence[str], level: float, logs: Sequence[str] = (), logarithmic: bool = False
) -> dict[str, Any]:
    """The covariance of the first ``len(names)`` coefficients, as ``evaluation`` reads it from a formula's evidence.

    ``multiplier`` is the half-width of the interval of the second coefficient over its standard deviation: about 2,
    more where scales are poorly known. ``logs`` and ``logarithmic``: see ``evaluation.evaluate``.
    """
    size = len(names)
    matrix = fitted.covariance()[:size, :size]
    contrast = np.zeros(fitted.means.shape[1])
    contrast[1] = 1
    interval = fitted.interval(contrast, level)
    multiplier = (interval.high - interval.low) / 2 / math.sqrt(float(matrix[1, 1]))
    return {
        "names": list(names),
        "matrix": matrix.tolist(),
        "multiplier": multiplier,
        "logs": list(logs),
        "logarithmic": logarithmic,
    }


def determined(columns: Floats, groups: NDArray[np.intp]) -> bool:
    """Whether the covariates are linearly independent of each other and of the group intercepts."""
    if len(columns) == 0:
        return False
    counts = np.bincount(groups)
    centres = np.array([np.bincount(groups, column) / np.maximum(counts, 1) for column in columns.T]).T
    centred = columns - centres[groups]
    norms = np.linalg.norm(centred, axis=0)
    if not np.all(norms > 1e-9):
        return False
    return bool(np.linalg.matrix_rank(centred / norms, tol=1e-6) == columns.shape[1])


def predict(fitted: Fit, problem: Problem) -> Floats:
    """Fitted values with the intercept of each group, shape (n,)."""
    values: Floats = fitted.intercepts[problem.groups] + problem.columns @ fitted.mean()[1:]
    return values


def held_out_errors(problem: Problem, jitter: float) -> Floats:
    """Errors of rows that had no part in the slopes that predict them, in units of y.

    With several groups one group is left out at a time and only its mean is taken from itself; with one group one row
    is left out at a time.

    Returns:
        Shape (n,).
    """
    weights = 1 / (problem.variances + jitter**2)
    if problem.groups.max() == 0:
        return _row_errors(problem, weights)
    moments = _moments(problem, jitter)
    columns = problem.columns - moments.group_columns[problem.groups]
    response = problem.response - moments.group_response[problem.groups]
    errors = np.empty_like(response)
    for group in range(int(problem.groups.max()) + 1):
        own = problem.groups == group
        rest = (weights[~own, None] * columns[~own]).T
        errors[own] = response[own] - columns[own] @ (np.linalg.pinv(rest @ columns[~own]) @ (rest @ response[~own]))
    return errors


def _row_errors(problem: Problem, weights: Floats) -> Floats:
    """Leave-one-out errors, residual / (1 - leverage)."""
    design = np.column_stack([np.ones(len(weights)), problem.columns])
    weighted = (weights[:, None] * design).T
    solver = np.linalg.pinv(weighted @ design) @ weighted
    leverage = np.einsum("nk,kn->n", design, solver)
    errors: Floats = (problem.response - design @ (solver @ problem.response)) / np.maximum(1 - leverage, 1e-6)
    return errors


def root_mean_square(errors: Floats) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(errors**2)))

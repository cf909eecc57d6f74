"""A linear model whose rows lie in groups that share an error: what groups differ in is regressed too.

    y_i = b0 + b·x_i + u_g + d_g z_i + e_i,   e_i ~ N(0, v_i + jitter²)
    u_g ~ N(0, w_g + level²),   d_g ~ N(0, spread²)

Unlike in ``fit``, groups have no intercepts of their own, so that columns that are constant within groups (a size, a
length) have slopes. ``v_i`` and ``w_g`` are known; jitter, level and spread are integrated over grids with half-normal
priors, for the reason given in ``fit``. The slopes have flat priors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studies.formulas.fitting.fit import Fit, scale_grid

Floats = NDArray[np.float64]
GROUP_POINTS = 8
"""Points of the grids of level and spread (assumed: half of the jitter's, on the same span)."""


@dataclass(frozen=True, slots=True)
class MixedProblem:
    """What is regressed."""

    response: Floats
    """y, shape (n,)."""
    columns: Floats
    """x without the intercept, shape (n, k)."""
    variances: Floats
    """v, shape (n,)."""
    groups: NDArray[np.intp]
    """Index 0 … G-1 of each row's group, shape (n,)."""
    slopes: Floats
    """z, whose slope differs between groups, shape (n,)."""
    group_variances: Floats
    """w, shape (G,)."""
    jitter_scale: float
    level_scale: float
    spread_scale: float

    def only(self, kept: NDArray[np.bool_]) -> "MixedProblem":
        """The same problem on the rows in ``kept``; empty groups are closed up."""
        names, groups = np.unique(self.groups[kept], return_inverse=True)
        return replace(
            self,
            response=self.response[kept],
            columns=self.columns[kept],
            variances=self.variances[kept],
            groups=groups.astype(np.intp),
            slopes=self.slopes[kept],
            group_variances=self.group_variances[names],
        )

    def with_columns(self, columns: Floats) -> "MixedProblem":
        """The same problem with other covariates."""
        return replace(self, columns=columns)


@dataclass(frozen=True, slots=True)
class MixedFit:
    """The posterior, and the log of the likelihood at the best slopes, averaged over the scales."""

    fit: Fit
    log_likelihood: float
    scales: tuple[float, float, float]
    """Posterior means of jitter, level and spread."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """Weighted sums over rows at one jitter: of all columns with the response last, and of each group's errors."""

    products: Floats
    """Shape (k + 2, k + 2)."""
    inner: Floats
    """Shape (G, 2, 2)."""
    cross: Floats
    """Shape (G, 2, k + 2)."""
    log_determinant: float


def _sums(problem: MixedProblem, jitter: float) -> _Sums:
    weights = 1 / (problem.variances + jitter**2)
    table = np.column_stack([np.ones_like(problem.response), problem.columns, problem.response])
    shared = np.column_stack([np.ones_like(problem.response), problem.slopes])
    count = len(problem.group_variances)
    inner, cross = np.zeros((count, 2, 2)), np.zeros((count, 2, table.shape[1]))
    weighted = weights[:, None] * shared
    np.add.at(inner, problem.groups, weighted[:, :, None] * shared[:, None, :])
    np.add.at(cross, problem.groups, weighted[:, :, None] * table[:, None, :])
    return _Sums(table.T @ (weights[:, None] * table), inner, cross, -float(np.log(weights).sum()))


def _group_covariances(problem: MixedProblem, levels: Floats, spreads: Floats) -> Floats:
    """Of (u, d) at every pair of scales, shape (S, G, 2, 2)."""
    level, spread = (axis.ravel() for axis in np.meshgrid(levels, spreads, indexing="ij"))
    covariances = np.zeros((len(level), len(problem.group_variances), 2, 2))
    covariances[:, :, 0, 0] = level[:, None] ** 2 + problem.group_variances
    covariances[:, :, 1, 1] = spread[:, None] ** 2
    return covariances


@dataclass(frozen=True, slots=True)
class _Solutions:
    """Generalised least squares at every pair of group scales (S of them)."""

    log_likelihood: Floats
    """At the best slopes, shape (S,)."""
    log_restricted: Floats
    means: Floats
    covariances: Floats


def _solve(sums: _Sums, group_covariances: Floats) -> _Solutions:
    """Groups' errors enter by Woodbury's identity, two ranks for each group."""
    growth = np.eye(2) + group_covariances @ sums.inner
    gain = np.linalg.solve(growth, group_covariances)
    count, width = sums.cross.shape[0], sums.cross.shape[2]
    flat = sums.cross.reshape(count * 2, width)
    reduced = sums.products - flat.T @ (gain @ sums.cross).reshape(len(gain), count * 2, width)
    determinant = sums.log_determinant + np.log(np.linalg.det(growth)).sum(axis=1)
    information, score = reduced[:, :-1, :-1], reduced[:, :-1, -1]
    covariances = np.asarray(np.linalg.inv(information), dtype=np.float64)
    means: Floats = np.einsum("sij,sj->si", covariances, score)
    squares = reduced[:, -1, -1] - np.einsum("si,si->s", score, means)
    likelihood: Floats = -0.5 * (determinant + squares)
    restricted: Floats = likelihood - 0.5 * np.linalg.slogdet(information)[1]
    return _Solutions(likelihood, restricted, means, covariances)


def fit_mixed(problem: MixedProblem) -> MixedFit:
    """Fit the model of this module.

    Raises:
        numpy.linalg.LinAlgError: the columns do not determine the slopes; check ``fit.determined`` first.
    """
    jitters, jitter_priors = scale_grid(problem.jitter_scale)
    levels, level_priors = scale_grid(problem.level_scale, GROUP_POINTS)
    spreads, spread_priors = scale_grid(problem.spread_scale, GROUP_POINTS)
    group_covariances = _group_covariances(problem, levels, spreads)
    parts = [_solve(_sums(problem, float(jitter)), group_covariances) for jitter in jitters]
    priors = jitter_priors[:, None] + (level_priors[:, None] + spread_priors).ravel()
    logs = np.array([part.log_restricted for part in parts]) + priors
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    profile = np.array([part.log_likelihood for part in parts]) + priors
    peak = float(profile.max())
    table = weights.reshape(len(jitters), len(levels), len(spreads))
    scales = tuple(
        float(table.sum(axis=others) @ grid)
        for grid, others in ((jitters, (1, 2)), (levels, (0, 2)), (spreads, (0, 1)))
    )
    means = np.concatenate([part.means for part in parts])
    covariances = np.concatenate([part.covariances for part in parts])
    intercept = (weights.ravel() @ means)[:1]
    fitted = Fit(weights.ravel(), means, covariances, intercept, scales[0], scales[2])
    return MixedFit(fitted, peak + float(np.log(np.exp(profile - peak).sum())), (scales[0], scales[1], scales[2]))


def solve_at(problem: MixedProblem, scales: tuple[float, float, float]) -> tuple[Floats, float]:
    """Intercept and slopes at given jitter, level and spread, and the log-likelihood there."""
    jitter, level, spread = scales
    covariances = _group_covariances(problem, np.array([level]), np.array([spread]))
    solved = _solve(_sums(problem, jitter), covariances)
    return solved.means[0], float(solved.log_likelihood[0])


def mixture(fits: Sequence[Fit], weights: Sequence[float]) -> Fit:
    """Fits of the same parameters averaged, so that their disagreement is part of the interval."""
    share = np.array(weights) / np.sum(weights)
    return Fit(
        np.concatenate([own * fitted.weights for own, fitted in zip(share, fits, strict=True)]),
        np.concatenate([fitted.means for fitted in fits]),
        np.concatenate([fitted.covariances for fitted in fits]),
        np.asarray(share @ np.array([fitted.intercepts for fitted in fits])),
        float(share @ [fitted.jitter for fitted in fits]),
        float(share @ [fitted.spread for fitted in fits]),
    )

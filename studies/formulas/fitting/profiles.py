"""The learning rate profiled out: where each cell's cost is lowest, and how low, with their uncertainty.

A cell is a set of runs that differ in learning rate and seed only. Near its minimum the cost is a parabola in
x = log(rate), plus a cubic term that all cells share (bowls are steeper towards high rates). Curvatures are shrunk
towards their common value (empirical Bayes), so that three rates suffice where other cells tell the curvature. Several
windows around the minimum are fitted, and their disagreement is part of the uncertainty (model averaging: Buckland,
Burnham and Augustin 1997, Biometrics 53(2)).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studies.formulas.fitting.windows import MIN_RATES as MIN_RATES
from studies.formulas.fitting.windows import (
    Cells,
    Windows,
    centred_windows,
    scatter_about_parabolas,
    scatter_about_shared_curvature,
    scatter_between_seeds,
    windows_with_more,
)
from studies.formulas.observations import Runs

Floats = NDArray[np.float64]
HALF_WIDTHS = (0.75, 1.1, 1.45)
"""Half-widths of the windows in log rate: factors 2.1, 3.0 and 4.3 (assumed; bowls are about parabolic so far)."""
PURE_ERROR_DF = 6
"""Degrees of freedom from which replicated seeds alone estimate the noise (assumed)."""
MIN_CURVATURE_SHARE = 0.2
"""A cell's curvature is not taken to be below this share of the common one (assumed)."""
SKEW_DOUBT = 0.5
"""Relative error of the cubic term as a description of the asymmetry (assumed)."""
VERTEX_ROUNDS = 2
"""Times the windows are centred on the fitted minima, where their curvatures are alike (assumed: it settles)."""
SKEW_SHIFT = 0.3
"""Shift of a parabola's vertex by a cubic term s: 0.3·s·h²/curvature in a window of half-width h (derived: the mean
of x⁴ over that of x², 3h²/5, halved)."""

Edge = Literal["none", "low", "high"]
EDGES: Mapping[int, Edge] = {-1: "low", 0: "none", 1: "high"}


@dataclass(frozen=True, slots=True)
class Profile:
    """The minimum of one cell. ``log_rate`` is a bound if ``edge`` is not ``none``: the minimum lies beyond it."""

    log_rate: float
    log_rate_variance: float
    cost: float
    cost_variance: float
    edge: Edge
    lowest: float
    """Log of the smallest usable rate."""
    highest: float
    """Log of the largest usable rate."""


@dataclass(frozen=True, slots=True)
class Profiles:
    """Profiles of all cells, or None for those with too few rates."""

    cells: tuple[Profile | None, ...]
    noise: float
    """Standard deviation of one run around its profile, in units of the metric."""
    noise_df: float
    curvature: float
    """Common second-order coefficient: cost per (log rate)²."""
    curvature_error: float
    shift_error: float
    """Error in log rate that all minima share, because the bowls' asymmetry is known roughly."""


@dataclass(frozen=True, slots=True)
class _Bowl:
    """What cells share."""

    noise: float
    curvature: float
    curvature_error: float
    spread: float
    """Standard deviation of the curvature between cells."""
    skew: float
    """Coefficient of x³."""
    skew_error: float


def profile_cells(runs: Sequence[Runs], half_widths: Sequence[float] = HALF_WIDTHS) -> Profiles | None:
    """Profile every cell with at least three usable rates.

    Returns:
        None when no cell has three rates, or too few rates are left over to estimate the noise.
    """
    arrays = [(np.log(np.array(cell.rates)), np.array(cell.costs)) for cell in runs]
    usable = [len(set(rates.tolist())) >= MIN_RATES for rates, _ in arrays]
    chosen = [pair for pair, good in zip(arrays, usable, strict=True) if good]
    if not chosen:
        return None
    cells = Cells.of(chosen)
    skew = _common_skew(cells, half_widths[-1])
    per_width = [_fit_width(cells, half_width, skew) for half_width in half_widths]
    fitted = [result for result in per_width if result is not None]
    if not fitted:
        return None
    merged = iter(_merged([result.minima for result in fitted], cells))
    first = fitted[0]
    found = tuple(next(merged) if good else None for good in usable)
    shift_error = float(np.mean([result.shift_error for result in fitted]))
    bowl = first.bowl
    return Profiles(found, bowl.noise, first.noise_df, bowl.curvature, bowl.curvature_error, shift_error)


@dataclass(frozen=True, slots=True)
class _Minima:
    """Minimum of each cell, shape (C,) each; ``edge`` is -1 where it lies below the tried rates, 1 above."""

    log_rate: Floats
    log_rate_variance: Floats
    cost: Floats
    cost_variance: Floats
    edge: Floats


@dataclass(frozen=True, slots=True)
class _Width:
    """What windows of one half-width say."""

    minima: _Minima
    bowl: _Bowl
    noise_df: float
    shift_error: float


def _fit_width(cells: Cells, half_width: float, skew: tuple[float, float]) -> _Width | None:
    windows = centred_windows(cells, half_width)
    noise, noise_df = _noise(cells, windows)
    if noise_df < 1:
        return None
    for _ in range(VERTEX_ROUNDS):
        bowl = _shared_bowl(windows, noise, skew)
        if bowl is None:
            return None
        windows = replace(windows, centre=_minima(cells, windows, bowl).log_rate)
    bowl = _shared_bowl(windows, noise, skew)
    if bowl is None:
        return None
    shift_error = SKEW_SHIFT * half_width**2 * math.hypot(bowl.skew_error, SKEW_DOUBT * bowl.skew) / bowl.curvature
    return _Width(_minima(cells, windows, bowl), bowl, noise_df, shift_error)


def _shared_bowl(windows: Windows, noise: float, skew: tuple[float, float]) -> _Bowl | None:
    """What the bowls have in common at the windows' centres; None if they do not bend upwards."""
    curvature, error, spread = _common_curvature(windows.without_cubes(skew[0]), noise)
    return _Bowl(noise, curvature, error, spread, *skew) if curvature > 0 else None


def _noise(cells: Cells, windows: Windows) -> tuple[float, float]:
    """Standard deviation of a run and its degrees of freedom: seeds, else local fits, else one shared curvature."""
    for squares, freedom in (scatter_between_seeds(cells), scatter_about_parabolas(windows)):
        if freedom >= PURE_ERROR_DF:
            return math.sqrt(squares / freedom), freedom
    squares, freedom = scatter_about_shared_curvature(windows)
    return (math.sqrt(squares / freedom), freedom) if freedom >= 1 else (math.nan, 0.0)


def _common_curvature(windows: Windows, noise: float) -> tuple[float, float, float]:
    """Mean curvature, its error and its spread between cells (moments: DerSimonian and Laird 1986)."""
    fitted, covariance = windows.parabolas(windows.costs)
    bend = fitted[:, 2]
    variance = max(noise, 1e-12) ** 2 * covariance[:, 2, 2]
    weights = 1 / variance
    mean = float(weights @ bend / weights.sum())
    excess = float(weights @ (bend - mean) ** 2) - (len(bend) - 1)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(excess / scale, 0.0) if scale > 0 else 0.0
    weights = 1 / (variance + between)
    mean = float(weights @ bend / weights.sum())
    return mean, math.sqrt(1 / float(weights.sum())), math.sqrt(between)


def _common_skew(cells: Cells, half_width: float) -> tuple[float, float]:
    """Cubic coefficient that all cells share and its error, from the widest windows; 0 where no cell has four rates.

    It is shrunk by its own uncertainty.
    """
    windows = centred_windows(cells, half_width)
    noise, _ = _noise(cells, windows)
    used = windows.weights * windows_with_more(windows, MIN_RATES)[windows.cell]
    cubes = windows.residuals(windows.x**3)
    product, information = float(used @ (cubes * windows.costs)), float(used @ cubes**2)
    if information == 0 or not noise >= 0:
        return 0.0, 0.0
    skew, variance = product / information, max(noise, 1e-12) ** 2 / information
    return skew * skew**2 / (skew**2 + variance), math.sqrt(variance)


def _minima(cells: Cells, windows: Windows, bowl: _Bowl) -> _Minima:
    """Vertices and values of bowls whose curvatures at the windows' centres are shrunk towards the common one."""
    solution, covariance = _posterior(windows.without_cubes(bowl.skew), bowl)
    level, slope, bend = solution.T
    bend = np.maximum(bend, MIN_CURVATURE_SHARE * bowl.curvature)
    vertex = -slope / (2 * bend)
    correction = 3 * bowl.skew * vertex**2 / np.maximum(2 * bend + 6 * bowl.skew * vertex, bend)
    gradient = np.stack([np.zeros_like(bend), -1 / (2 * bend), slope / (2 * bend**2)], axis=-1)
    lowest, highest = cells.lowest, cells.highest
    log_rate = windows.centre + vertex - correction
    bounded = np.clip(log_rate, lowest, highest)
    at = bounded - windows.centre
    basis = np.stack([np.ones_like(at), at, at**2], axis=-1)
    return _Minima(
        bounded,
        _quadratic(gradient, covariance),
        cells.means + level + slope * at + bend * at**2 + bowl.skew * at**3,
        _quadratic(basis, covariance),
        (log_rate > highest) * 1.0 - (log_rate < lowest),
    )


def _quadratic(vectors: Floats, matrices: Floats) -> Floats:
    """V'Mv of each cell, not below zero."""
    values: Floats = np.maximum(np.einsum("ci,cij,cj->c", vectors, matrices, vectors), 0.0)
    return values


def _posterior(windows: Windows, bowl: _Bowl) -> tuple[Floats, Floats]:
    """Level, slope and curvature with their covariance, the curvature's prior being that of all cells."""
    variance = max(bowl.noise, 1e-12) ** 2
    precision = variance / max(bowl.spread, 1e-6 * bowl.curvature) ** 2
    fitted, covariance = windows.parabolas(windows.costs, precision, bowl.curvature)
    return fitted, variance * covariance


def _merged(widths: Sequence[_Minima], cells: Cells) -> list[Profile]:
    """Average over windows; their variance is added. The edge is the majority's."""
    rates, costs = (np.array([getattr(minima, name) for minima in widths]) for name in ("log_rate", "cost"))
    rate_variances, cost_variances = (
        np.mean([getattr(minima, name) for minima in widths], axis=0) for name in ("log_rate_variance", "cost_variance")
    )
    edges = _majority(np.array([minima.edge for minima in widths]))
    columns = (
        rates.mean(axis=0),
        rate_variances + rates.var(axis=0),
        costs.mean(axis=0),
        cost_variances + costs.var(axis=0),
        edges,
        cells.lowest,
        cells.highest,
    )
    return [
        Profile(rate, rate_variance, cost, cost_variance, EDGES[round(edge)], lowest, highest)
        for rate, rate_variance, cost, cost_variance, edge, lowest, highest in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _majority(edges: Floats) -> Floats:
    """The edge that most windows have; of as many the first of none, low and high. Shape (widths, C) to (C,)."""
    order = (0.0, -1.0, 1.0)
    counts = np.array([(edges == edge).sum(axis=0) for edge in order])
    chosen: Floats = np.array(order)[np.argmax(counts, axis=0)]
    return chosen

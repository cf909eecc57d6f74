"""The learning rate profiled out: where each cell's cost is lowest, and how low, with their uncertainty.

A cell is a set of runs that differ in learning rate and seed only. Near its minimum the cost is a parabola in
x = log(rate), plus a cubic term that all cells share (bowls are steeper towards high rates). Curvatures are shrunk
towards their common value (empirical Bayes), so that three rates suffice where other cells tell the curvature. Several
windows around the minimum are fitted, and their disagreement is part of the uncertainty (model averaging: Buckland,
Burnham and Augustin 1997, Biometrics 53(2)).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studies.formulas.observations import Runs

Floats = NDArray[np.float64]
HALF_WIDTHS = (0.75, 1.1, 1.45)
"""Half-widths of the windows in log rate: factors 2.1, 3.0 and 4.3 (assumed; bowls are about parabolic so far)."""
MIN_RATES = 3
PURE_ERROR_DF = 6
"""Degrees of freedom from which replicated seeds alone estimate the noise (assumed)."""
HUBER = 1.5
"""Residuals beyond this many robust standard deviations are weighed down (Huber 1964)."""
HUBER_MIN_RUNS = 6
MIN_CURVATURE_SHARE = 0.2
"""A cell's curvature is not taken to be below this share of the common one (assumed)."""
RECENTRINGS = 3
SKEW_DOUBT = 0.5
"""Relative error of the cubic term as a description of the asymmetry (assumed)."""
VERTEX_ROUNDS = 2
"""Times the windows are centred on the fitted minima, where their curvatures are alike (assumed: it settles)."""
SKEW_SHIFT = 0.3
"""Shift of a parabola's vertex by a cubic term s: 0.3·s·h²/curvature in a window of half-width h (derived: the mean
of x⁴ over that of x², 3h²/5, halved)."""

Edge = Literal["none", "low", "high"]


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
class _Window:
    rates: Floats
    costs: Floats
    weights: Floats
    centre: float

    @property
    def design(self) -> Floats:
        """Columns 1, x, x² around the centre, shape (runs, 3)."""
        return np.vander(self.rates - self.centre, 3, increasing=True)

    @property
    def cubes(self) -> Floats:
        """x³ around the centre, shape (runs,)."""
        cubes: Floats = (self.rates - self.centre) ** 3
        return cubes

    def without_cubes(self, skew: float) -> "_Window":
        """The window with the common cubic term taken off its costs."""
        return replace(self, costs=self.costs - skew * self.cubes)


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
    usable = [len(np.unique(rates)) >= MIN_RATES for rates, _ in arrays]
    chosen = [pair for pair, good in zip(arrays, usable, strict=True) if good]
    if not chosen:
        return None
    skew = _common_skew(chosen, half_widths[-1])
    per_width = [_fit_width(chosen, half_width, skew) for half_width in half_widths]
    fitted = [result for result in per_width if result is not None]
    if not fitted:
        return None
    merged = iter([_merge(profiles) for profiles in zip(*(result.cells for result in fitted), strict=True)])
    first = fitted[0]
    cells = tuple(next(merged) if good else None for good in usable)
    shift_error = float(np.mean([result.shift_error for result in fitted]))
    return Profiles(cells, first.noise, first.noise_df, first.curvature, first.curvature_error, shift_error)


def _fit_width(
    arrays: Sequence[tuple[Floats, Floats]], half_width: float, skew: tuple[float, float]
) -> Profiles | None:
    windows = [_centred_window(rates, costs, half_width) for rates, costs in arrays]
    noise, noise_df = _noise(arrays, windows)
    if noise_df < 1:
        return None
    bowl = _shared_bowl(windows, noise, skew)
    for _ in range(VERTEX_ROUNDS):
        if bowl is None:
            return None
        cells = [_minimum(rates, window, bowl) for (rates, _), window in zip(arrays, windows, strict=True)]
        windows = [replace(window, centre=cell.log_rate) for window, cell in zip(windows, cells, strict=True)]
        bowl = _shared_bowl(windows, noise, skew)
    if bowl is None:
        return None
    cells = [_minimum(rates, window, bowl) for (rates, _), window in zip(arrays, windows, strict=True)]
    shift_error = SKEW_SHIFT * half_width**2 * math.hypot(bowl.skew_error, SKEW_DOUBT * bowl.skew) / bowl.curvature
    return Profiles(tuple(cells), noise, noise_df, bowl.curvature, bowl.curvature_error, shift_error)


def _shared_bowl(windows: Sequence[_Window], noise: float, skew: tuple[float, float]) -> _Bowl | None:
    """What the bowls have in common at the windows' centres; None if they do not bend upwards."""
    straightened = [window.without_cubes(skew[0]) for window in windows]
    curvature, error, spread = _common_curvature(straightened, noise)
    return _Bowl(noise, curvature, error, spread, *skew) if curvature > 0 else None


def _window(rates: Floats, costs: Floats, centre: float, half_width: float) -> _Window:
    distinct = np.unique(rates)
    near = np.sort(np.abs(distinct - centre))[MIN_RATES - 1]
    inside = np.abs(rates - centre) <= max(half_width, near) + 1e-3
    return _Window(rates[inside], costs[inside], np.ones(int(inside.sum())), centre)


def _centred_window(rates: Floats, costs: Floats, half_width: float) -> _Window:
    """The window around the minimum, moved to the fitted vertex until it stays; then outliers are weighed down."""
    distinct = np.unique(rates)
    means = np.array([costs[rates == rate].mean() for rate in distinct])
    window = _window(rates, costs, float(distinct[np.argmin(means)]), half_width)
    for _ in range(RECENTRINGS):
        _, slope, curvature = _least_squares(window)
        if curvature <= 0:
            break
        vertex = window.centre - slope / (2 * curvature)
        nearest = float(distinct[np.argmin(np.abs(distinct - vertex))])
        if nearest == window.centre:
            break
        window = _window(rates, costs, nearest, half_width)
    return _robust(window)


def _robust(window: _Window) -> _Window:
    if len(window.rates) < HUBER_MIN_RUNS:
        return window
    for _ in range(3):
        residuals = np.abs(window.costs - window.design @ np.array(_least_squares(window)))
        scale = 1.4826 * float(np.median(residuals)) * math.sqrt(len(residuals) / (len(residuals) - 3))
        weights = np.minimum(1.0, HUBER * scale / np.maximum(residuals, 1e-200))
        window = _Window(window.rates, window.costs, np.maximum(weights, 1e-3), window.centre)
    return window


def _least_squares(window: _Window) -> tuple[float, float, float]:
    root = np.sqrt(window.weights)
    solution = np.linalg.lstsq(root[:, None] * window.design, root * window.costs, rcond=None)[0]
    return float(solution[0]), float(solution[1]), float(solution[2])


def _noise(arrays: Sequence[tuple[Floats, Floats]], windows: Sequence[_Window]) -> tuple[float, float]:
    """Standard deviation of a run and its degrees of freedom: seeds, else local fits, else one shared curvature."""
    for squares, freedom in (_seed_scatter(arrays), _own_curvature_scatter(windows)):
        if freedom >= PURE_ERROR_DF:
            return math.sqrt(squares / freedom), freedom
    squares, freedom = _shared_curvature_scatter(windows)
    return (math.sqrt(squares / freedom), freedom) if freedom >= 1 else (math.nan, 0.0)


def _seed_scatter(arrays: Sequence[tuple[Floats, Floats]]) -> tuple[float, float]:
    squares, freedom = 0.0, 0
    for rates, costs in arrays:
        _, index, counts = np.unique(rates, return_inverse=True, return_counts=True)
        means = np.bincount(index, costs) / counts
        squares += float(((costs - means[index]) ** 2).sum())
        freedom += len(costs) - len(counts)
    return squares, freedom


def _own_curvature_scatter(windows: Sequence[_Window]) -> tuple[float, float]:
    squares, freedom = 0.0, 0.0
    for window in windows:
        residuals = window.costs - window.design @ np.array(_least_squares(window))
        squares += float((window.weights * residuals**2).sum())
        freedom += max(len(window.rates) - 3, 0)
    return squares, freedom


def _shared_curvature_scatter(windows: Sequence[_Window]) -> tuple[float, float]:
    """Residuals around parabolas that share one curvature; its differences between cells count as noise."""
    responses, bends, freedom = [], [], -1.0
    for window in windows:
        line = window.design[:, :2]
        projection = line @ np.linalg.pinv(line)
        responses.append(window.costs - projection @ window.costs)
        bends.append(window.design[:, 2] - projection @ window.design[:, 2])
        freedom += len(window.rates) - 2
    response, bend = np.concatenate(responses), np.concatenate(bends)
    residuals = response - bend * float(bend @ response) / float(bend @ bend)
    return float(residuals @ residuals), freedom


def _common_curvature(windows: Sequence[_Window], noise: float) -> tuple[float, float, float]:
    """Mean curvature, its error and its spread between cells (moments: DerSimonian and Laird 1986)."""
    bends, variances = [], []
    for window in windows:
        bends.append(_least_squares(window)[2])
        information = window.design.T @ (window.weights[:, None] * window.design)
        variances.append(max(noise, 1e-12) ** 2 * float(np.linalg.inv(information)[2, 2]))
    bend, variance = np.array(bends), np.array(variances)
    weights = 1 / variance
    mean = float(weights @ bend / weights.sum())
    excess = float(weights @ (bend - mean) ** 2) - (len(bend) - 1)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(excess / scale, 0.0) if scale > 0 else 0.0
    weights = 1 / (variance + between)
    mean = float(weights @ bend / weights.sum())
    return mean, math.sqrt(1 / float(weights.sum())), math.sqrt(between)


def _common_skew(arrays: Sequence[tuple[Floats, Floats]], half_width: float) -> tuple[float, float]:
    """Cubic coefficient that all cells share and its error, from the widest windows; 0 where no cell has four rates.

    It is shrunk by its own uncertainty.
    """
    windows = [_centred_window(rates, costs, half_width) for rates, costs in arrays]
    noise, _ = _noise(arrays, windows)
    product = information = 0.0
    for window in windows:
        if len(np.unique(window.rates)) <= MIN_RATES:
            continue
        root = np.sqrt(window.weights)
        design = root[:, None] * window.design
        cubes = root * window.cubes
        cubes = cubes - design @ np.linalg.lstsq(design, cubes, rcond=None)[0]
        product += float(cubes @ (root * window.costs))
        information += float(cubes @ cubes)
    if information == 0 or not noise >= 0:
        return 0.0, 0.0
    skew, variance = product / information, max(noise, 1e-12) ** 2 / information
    return skew * skew**2 / (skew**2 + variance), math.sqrt(variance)


def _minimum(rates: Floats, window: _Window, bowl: _Bowl) -> Profile:
    """Vertex and value of one bowl whose curvature at the window's centre is shrunk towards the common one."""
    solution, covariance = _posterior(window.without_cubes(bowl.skew), bowl)
    level, slope, bend = (float(value) for value in solution)
    bend = max(bend, MIN_CURVATURE_SHARE * bowl.curvature)
    vertex = -slope / (2 * bend)
    correction = 3 * bowl.skew * vertex**2 / max(2 * bend + 6 * bowl.skew * vertex, bend)
    gradient = np.array([0.0, -1 / (2 * bend), slope / (2 * bend**2)])
    lowest, highest = float(rates.min()), float(rates.max())
    log_rate = window.centre + vertex - correction
    edge: Edge = "low" if log_rate < lowest else "high" if log_rate > highest else "none"
    bounded = min(max(log_rate, lowest), highest)
    at = bounded - window.centre
    basis = np.array([1.0, at, at**2])
    return Profile(
        bounded,
        max(float(gradient @ covariance @ gradient), 0.0),
        level + slope * at + bend * at**2 + bowl.skew * at**3,
        max(float(basis @ covariance @ basis), 0.0),
        edge,
        lowest,
        highest,
    )


def _posterior(window: _Window, bowl: _Bowl) -> tuple[Floats, Floats]:
    """Level, slope and curvature with their covariance, the curvature's prior being that of all cells."""
    variance = max(bowl.noise, 1e-12) ** 2
    precision = 1 / max(bowl.spread, 1e-6 * bowl.curvature) ** 2
    information = window.design.T @ (window.weights[:, None] * window.design) / variance
    score = window.design.T @ (window.weights * window.costs) / variance
    information[2, 2] += precision
    score[2] += precision * bowl.curvature
    covariance = np.asarray(np.linalg.inv(information), dtype=np.float64)
    return covariance @ score, covariance


def _merge(profiles: Sequence[Profile]) -> Profile:
    """Average over windows; their variance is added. The edge is the majority's."""
    rates = np.array([profile.log_rate for profile in profiles])
    costs = np.array([profile.cost for profile in profiles])
    edges = [profile.edge for profile in profiles]
    edge = max(set(edges), key=lambda candidate: (edges.count(candidate), candidate))
    return Profile(
        float(rates.mean()),
        float(np.mean([profile.log_rate_variance for profile in profiles]) + rates.var()),
        float(costs.mean()),
        float(np.mean([profile.cost_variance for profile in profiles]) + costs.var()),
        edge,
        profiles[0].lowest,
        profiles[0].highest,
    )

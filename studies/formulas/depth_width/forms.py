"""The forms of a depth x width law: a line or a parabola in log depth, beside FFN ratio and covariates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studies.formulas.depth_width.architectures import INNER, Architecture
from studies.formulas.fitting.budget import split_budgets
from studies.formulas.fitting.covariates import covariate_columns
from studies.formulas.fitting.fit import Fit, Problem, determined, fit, held_out_errors, root_mean_square
from studies.formulas.fitting.shapes import Curve, Optimum, Shape, classify, optimum
from studies.formulas.verdicts import LEVEL

Floats = NDArray[np.float64]
OWN = INNER | {"depth", "width", "ffn_ratio", "ffn_width"}
JITTER_FACTOR = 2.0
"""Prior scale of the jitter, in residual standard deviations of least squares: nearly flat (assumed)."""
SKEW = 0.15
"""Prior scale of the cubic coefficient over the curvature, per doubling of depth (assumed: a bowl 2.2 times as steep at
two doublings on one side as on the other has 0.13)."""
SIZE_TERMS = ("size_effect", "size_depth", "size_curvature")
MIN_SIZES = 3
"""Distinct sizes from which their effect may bend (derived: a parabola has three coefficients)."""
MIN_RATIO_RANGE = 0.1
"""Doublings over which the FFN ratio must vary to have an effect of its own (assumed)."""


@dataclass(frozen=True, slots=True)
class Design:
    """Columns of every form."""

    u: Floats
    """log2(depth / reference_depth), shape (n,)."""
    ratio: Floats
    """log2(ratio / reference_ratio), shape (n, 1), or (n, 0) where the ratio does not vary."""
    size: Floats
    """x = log2(size / reference_size), x·u and x², shape (n, 2 or 3), or (n, 0) where the budget is equal."""
    covariates: Floats
    covariate_names: tuple[str, ...]
    reference_depth: float
    reference_ratio: float | None
    reference_size: float | None

    def columns(self, degree: int) -> Floats:
        """Powers of u up to ``degree``, then ratio, size and covariates."""
        powers = [self.u**power for power in range(1, degree + 1)]
        return np.column_stack([*powers, self.ratio, self.size, self.covariates])


@dataclass(frozen=True, slots=True)
class DepthAnalysis:
    """Both forms fitted to the costs of all architectures."""

    design: Design
    linear: Fit
    quadratic: Fit
    problem: Problem
    """Of the reported form."""
    shape: Shape
    best: Optimum
    skewed: Curve
    """The curve whose lowest place ``best`` is."""
    rivals: dict[str, float]
    """Held-out error of each form in units of the objective."""

    @property
    def form(self) -> str:
        """The parabola for a U, else the form that predicts left-out architectures better."""
        curved = self.shape == "U" or self.rivals["quadratic_log_depth"] < self.rivals["linear_log_depth"]
        return "quadratic_log_depth" if curved else "linear_log_depth"

    @property
    def fit(self) -> Fit:
        """The fit of the reported form."""
        return self.quadratic if self.form == "quadratic_log_depth" else self.linear

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the first parameters of ``fit``."""
        powers = ("depth_slope", "depth_curvature")[: 1 + (self.form == "quadratic_log_depth")]
        ratio = ("ratio_effect",) if self.design.ratio.shape[1] else ()
        return ("level", *powers, *ratio, *SIZE_TERMS[: self.design.size.shape[1]])


def build_design(rows: Sequence[Architecture], conditioned: str | None = None) -> Design:
    """Columns about the mean log depth and ratio; the ratio is left out where it hardly varies.

    Args:
        rows: the architectures.
        conditioned: the count or amount that differs between them and enters as a covariate; all of them report it.
    """
    depths = np.array([row.depth for row in rows])
    reference = float(np.round(np.exp(np.log(depths).mean())))
    ratios = [row.ffn_ratio for row in rows if row.ffn_ratio]
    logs = np.log2(ratios) if len(ratios) == len(rows) else np.zeros(0)
    varied = len(logs) > 0 and float(np.ptp(logs)) > MIN_RATIO_RANGE
    centre = float(logs.mean()) if varied else 0.0
    names, covariates = covariate_columns([row.parameters for row in rows], OWN)
    u = np.log2(depths / reference)
    size, reference_size = _size_columns(rows, conditioned, u) if conditioned else (np.zeros((len(rows), 0)), None)
    return Design(
        u,
        (logs - centre)[:, None] if varied else np.zeros((len(rows), 0)),
        size,
        covariates,
        names,
        reference,
        2**centre if varied else None,
        reference_size,
    )


def _size_columns(rows: Sequence[Architecture], name: str, u: Floats) -> tuple[Floats, float]:
    """Size, its product with depth (the best depth moves with size), and its square, about the mean log size."""
    sizes = np.array([row.sizes[name] for row in rows])
    reference = float(np.exp(np.log(sizes).mean()))
    x = np.log2(sizes / reference)
    curved = len(split_budgets(sizes.tolist())) >= MIN_SIZES
    columns = [x, x * u, x**2] if curved else [x, x * u]
    return np.column_stack(columns), reference


def build_problem(rows: Sequence[Architecture], columns: Floats) -> Problem:
    """Regression of the cost at each architecture's best rate on ``columns``."""
    cost = np.array([row.cost for row in rows])
    scale = JITTER_FACTOR * scatter(cost, columns)
    floor = 1e-9 * max(float(np.abs(cost).max()), 1.0)
    variances = np.array([row.variance for row in rows]) + floor**2
    return Problem(cost, columns, variances, np.zeros(len(rows), dtype=np.intp), max(scale, floor))


def scatter(response: Floats, columns: Floats) -> float:
    """Residual standard deviation of least squares on an intercept and ``columns``."""
    full = np.column_stack([np.ones(len(response)), columns])
    residuals = response - full @ np.linalg.lstsq(full, response, rcond=None)[0]
    return math.sqrt(float(residuals @ residuals) / max(len(response) - full.shape[1], 1))


def analyse(problem: Problem, design: Design) -> DepthAnalysis:
    """Fit line and parabola; the columns of ``problem`` are those of the parabola."""
    quadratic = fit(problem)
    linear_problem = problem.with_columns(design.columns(1))
    linear = fit(linear_problem)
    shape = classify(problem, Curve(quadratic, 2))
    rivals = {
        name: root_mean_square(held_out_errors(problem.with_columns(design.columns(degree)), quadratic.jitter))
        for degree, name in enumerate(("no_depth", "linear_log_depth", "quadratic_log_depth"))
    }
    low, high = float(design.u.min()), float(design.u.max())
    skewed = _skewed_curve(problem, design, quadratic)
    best = optimum(skewed, low, high, LEVEL)
    analysis = DepthAnalysis(design, linear, quadratic, problem, shape, best, skewed, rivals)
    return analysis if analysis.form == "quadratic_log_depth" else replace(analysis, problem=linear_problem)


def _skewed_curve(problem: Problem, design: Design, quadratic: Fit) -> Curve:
    """A cubic with little skew, since a skewed bowl moves the vertex of a parabola; a parabola below five depths."""
    columns = design.columns(3)
    if len(columns) <= 1 + columns.shape[1] or not determined(columns, problem.groups):
        return Curve(quadratic, 2)
    cubic = fit(problem.with_columns(columns))
    return Curve(cubic.shrunk(3, SKEW * abs(float(quadratic.mean()[2]))), 3)

"""The form of a vocabulary law: a bowl in log vocabulary with little skew, beside covariates.

    y = level + slope·u + curvature·u² + skew·u³,   u = log2(V / reference_vocabulary_size)

The skew has the prior N(0, (0.15·curvature)²), as for depth: small vocabularies lose by compression, large ones by what
they take from the network, so that the bowl need not be symmetric. Below five vocabularies it is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.formulas.fitting.covariates import covariate_columns
from studies.formulas.fitting.fit import Fit, Interval, Problem, determined, fit, held_out_errors, root_mean_square
from studies.formulas.fitting.shapes import Curve, Optimum, Shape, classify, optimum
from studies.formulas.verdicts import LEVEL
from studies.formulas.vocabulary.networks import INNER, Network

Floats = NDArray[np.float64]
OWN = INNER | {"vocabulary_size", "width", "ffn_width", "heads"}
"""The variable, and what follows from it at an equal size."""
JITTER_FACTOR = 2.0
"""Prior scale of the jitter, in residual standard deviations of least squares: nearly flat (assumed)."""
SKEW = 0.15
"""Prior scale of the cubic coefficient over the curvature, per doubling (assumed, as for depth)."""
MIN_SIZES_OF_SKEW = 5
RIVALS = ("constant", "linear_log_vocabulary", "quadratic_log_vocabulary")
STRONGEST = 1e9
"""Largest precision of the skew's prior, in units of the data's (derived: a double has 16 digits)."""
GRID = 101
DRAWS = 4000
"""Of the coefficients, for the multiplier of a simultaneous band (its error is then about 1 %)."""


@dataclass(frozen=True, slots=True)
class Design:
    """Columns of every form."""

    u: Floats
    """log2(V / reference), shape (n,)."""
    covariates: Floats
    covariate_names: tuple[str, ...]
    reference: float

    def columns(self, degree: int) -> Floats:
        """Powers of u up to ``degree``, then covariates."""
        return np.column_stack([*(self.u**power for power in range(1, degree + 1)), self.covariates])

    def u_of(self, vocabulary: float) -> float:
        """Its logarithm about the reference."""
        return math.log2(vocabulary / self.reference)


@dataclass(frozen=True, slots=True)
class VocabularyAnalysis:
    """The law fitted to the costs of all networks."""

    design: Design
    problem: Problem
    curve: Curve
    shape: Shape
    best: Optimum
    """In log2(V / reference)."""
    held_out: float
    rivals: dict[str, float]
    """Held-out error of each form."""

    @property
    def form(self) -> str:
        """Its name."""
        return "skewed_log_vocabulary" if self.curve.degree == 3 else "quadratic_log_vocabulary"

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the first parameters of the fit."""
        powers = ("vocabulary_slope", "vocabulary_curvature", "vocabulary_skew")
        return ("level", *powers[: self.curve.degree])

    @property
    def best_sizes(self) -> tuple[float | None, float | None, float | None]:
        """Estimate, low and high end of the best vocabulary; None where open."""
        ends = (self.best.estimate, self.best.low, self.best.high)
        first, low, high = (None if at is None else self.design.reference * 2**at for at in ends)
        return first, low, high

    def difference(self, vocabulary: float, other: float) -> Interval:
        """Cost at one vocabulary less that at another."""
        return self.curve.fit.interval(self._contrasts(vocabulary, np.array([self.design.u_of(other)]))[0], LEVEL)

    def regret(self, vocabulary: float) -> Interval:
        """Cost at a vocabulary less the lowest cost between the smallest and the largest tried.

        The lowest cost lies at an unknown place, so that the interval rests on a band that holds for the differences to
        all places at once: its half-width is a multiplier times the standard deviation of each, the multiplier being
        the 95 % quantile of the largest standardised error over draws of the coefficients.
        """
        grid = np.linspace(float(self.design.u.min()), float(self.design.u.max()), GRID)
        contrasts = self._contrasts(vocabulary, grid)
        estimates = contrasts @ self.curve.fit.mean()
        spreads = np.sqrt(np.maximum(np.einsum("gi,ij,gj->g", contrasts, self.curve.fit.covariance(), contrasts), 0))
        half = self._multiplier(contrasts, spreads) * spreads
        return Interval(
            max(float(estimates.max()), 0.0),
            max(float((estimates - half).max()), 0.0),
            max(float((estimates + half).max()), 0.0),
        )

    def _contrasts(self, vocabulary: float, others: Floats) -> Floats:
        """What the cost at a vocabulary less that at each other takes of the coefficients, shape (others, k + 1)."""
        powers = np.arange(1, self.curve.degree + 1)
        contrasts = np.zeros((len(others), self.curve.fit.means.shape[1]))
        contrasts[:, powers] = self.design.u_of(vocabulary) ** powers - others[:, None] ** powers
        return contrasts

    def _multiplier(self, contrasts: Floats, spreads: Floats) -> float:
        errors = _draws(self.curve.fit) @ contrasts.T
        apart = spreads > 1e-9 * max(float(spreads.max()), 1e-300)
        if not apart.any():
            return 0.0
        return float(np.quantile(np.abs(errors[:, apart] / spreads[apart]).max(axis=1), LEVEL))


def _draws(fitted: Fit) -> Floats:
    """Draws of the coefficients about their mean, shape (``DRAWS``, k + 1); the same ones each time."""
    generator = np.random.default_rng(0)
    chosen = np.sort(generator.choice(len(fitted.weights), DRAWS, p=fitted.weights))
    normal = generator.standard_normal((DRAWS, fitted.means.shape[1]))
    values, vectors = np.linalg.eigh(fitted.covariances)
    roots = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]
    errors: Floats = fitted.means[chosen] - fitted.mean() + np.einsum("dij,dj->di", roots[chosen], normal)
    return errors


def build_design(rows: Sequence[Network]) -> Design:
    """Columns about the mean log vocabulary."""
    sizes = np.array([row.vocabulary for row in rows])
    reference = float(np.round(np.exp(np.log(sizes).mean())))
    names, covariates = covariate_columns([row.parameters for row in rows], OWN)
    return Design(np.log2(sizes / reference), covariates, names, reference)


def build_problem(rows: Sequence[Network], design: Design) -> Problem:
    """Regression of the cost at each network's best rate on the columns of the parabola."""
    cost, columns = np.array([row.cost for row in rows]), design.columns(2)
    full = np.column_stack([np.ones(len(rows)), columns])
    residuals = cost - full @ np.linalg.lstsq(full, cost, rcond=None)[0]
    freedom = max(len(rows) - full.shape[1], 1)
    scale = JITTER_FACTOR * math.sqrt(float(residuals @ residuals) / freedom)
    floor = 1e-9 * max(float(np.abs(cost).max()), 1.0)
    variances = np.array([row.variance for row in rows]) + floor**2
    return Problem(cost, columns, variances, np.zeros(len(rows), dtype=np.intp), max(scale, floor))


def analyse(problem: Problem, design: Design) -> VocabularyAnalysis:
    """Fit the law and its rivals; the columns of ``problem`` are those of the parabola."""
    parabola = fit(problem)
    curve, penalty = Curve(parabola, 2), 0.0
    cubic = design.columns(3)
    enough = len(np.unique(design.u)) >= MIN_SIZES_OF_SKEW and len(cubic) > 1 + cubic.shape[1]
    if enough and determined(cubic, problem.groups):
        scale = max(SKEW * abs(float(parabola.mean()[2])), 1e-100)
        curve, penalty = Curve(fit(problem.with_columns(cubic)).shrunk(3, scale), 3), scale**-2
    reported = problem.with_columns(design.columns(curve.degree))
    rivals = {
        name: root_mean_square(held_out_errors(problem.with_columns(design.columns(degree)), parabola.jitter))
        for degree, name in enumerate(RIVALS)
    }
    held_out = root_mean_square(_held_out(reported, curve, penalty))
    low, high = float(design.u.min()), float(design.u.max())
    best = optimum(curve, low, high, LEVEL)
    shape = classify(problem, Curve(parabola, 2))
    return VocabularyAnalysis(design, reported, curve, shape, best, held_out, {**rivals, "reported": held_out})


def _held_out(problem: Problem, curve: Curve, penalty: float) -> Floats:
    """Errors of each network with the others' law: residual / (1 - leverage), the skew's prior being kept."""
    weights = 1 / (problem.variances + curve.fit.jitter**2)
    design = np.column_stack([np.ones(len(weights)), problem.columns])
    weighted = (weights[:, None] * design).T
    information = weighted @ design
    if curve.degree == 3:
        information[3, 3] += min(penalty, STRONGEST * information[3, 3])
    hat = design @ np.linalg.pinv(information) @ weighted
    errors: Floats = (problem.response - hat @ problem.response) / np.maximum(1 - np.diag(hat), 1e-6)
    return errors

"""Is the objective's relation to log depth a U, or monotone? And where is its optimum?

A U is claimed only if two tests agree: the slopes of a parabola at both ends of the data (Sasabuchi 1980, Biometrika
67(2); Lind and Mehlum 2010, Oxf. Bull. Econ. Stat. 72(1)), and the mean slopes on both sides of its vertex (two lines:
Simonsohn 2018, AMPPS 1(4)); the first alone takes a relation that only flattens out for a U.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import spearmanr

from studies.formulas.fitting.fit import Fit, Interval, Problem, determined, fit

Floats = NDArray[np.float64]
Shape = Literal["U", "monotone decreasing", "monotone increasing", "undetermined"]
"""Of the cost over depth: in ``U`` and ``monotone decreasing`` deeper is first or always better."""
ALPHA = 0.025
"""One-sided size of each slope test (assumed: half the usual 5 %, since the knot is placed with the same data)."""
MIN_SIDE = 3
"""Architectures on each side of a knot (assumed)."""
SET_POINTS = 201


@dataclass(frozen=True, slots=True)
class Optimum:
    """The best depth in log2; None where the data leave that side open."""

    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """A polynomial in u, fitted with covariates: its first ``degree`` slopes belong to u, u², …"""

    fit: Fit
    degree: int

    def rises_at(self, position: float) -> float:
        """Posterior probability that the slope at u = ``position`` is positive."""
        return self.fit.probability_positive(self._slope(position))

    def rise_along(self, positions: Floats) -> Floats:
        """``rises_at`` each position."""
        return self.fit.probabilities_positive(np.array([self._slope(float(at)) for at in positions]))

    def vertex(self, low: float, high: float) -> float | None:
        """The lowest turning point between the ends, where the mean slope goes from falling to rising."""
        powers = self.fit.mean()[1 : self.degree + 1]
        slope = np.polynomial.Polynomial(np.arange(1, self.degree + 1) * powers)
        turns = [float(root.real) for root in slope.roots() if abs(root.imag) < 1e-9 and slope.deriv()(root.real) > 0]
        return next((turn for turn in turns if low <= turn <= high), None)

    def _slope(self, position: float) -> Floats:
        contrast = np.zeros(self.fit.means.shape[1])
        powers = np.arange(1, self.degree + 1)
        contrast[1 : self.degree + 1] = powers * position ** (powers - 1.0)
        return contrast


def classify(problem: Problem, parabola: Curve) -> Shape:
    """Name the shape of the cost over the first column, u; ``problem`` has the parabola's columns."""
    u = problem.columns[:, 0]
    low, high = float(u.min()), float(u.max())
    start, end = parabola.rises_at(low), parabola.rises_at(high)
    vertex = parabola.vertex(low, high)
    if start < ALPHA and end > 1 - ALPHA and vertex is not None:
        sides = _two_lines(problem, vertex)
        return "U" if sides is not None and sides[0] < ALPHA and sides[1] > 1 - ALPHA else "undetermined"
    sides = _two_lines(problem, float(np.median(u)))
    if sides is None:
        return "undetermined"
    if max(sides) < ALPHA and end < 1 - ALPHA:
        return "monotone decreasing"
    if min(sides) > 1 - ALPHA and start > ALPHA:
        return "monotone increasing"
    return "undetermined"


def _two_lines(problem: Problem, knot: float) -> tuple[float, float] | None:
    """Posterior probabilities that the mean slopes below and above the knot are positive; None if one side is bare."""
    u = problem.columns[:, 0]
    if min(int((u < knot).sum()), int((u > knot).sum())) < MIN_SIDE:
        return None
    sides = np.column_stack([np.minimum(u - knot, 0), np.maximum(u - knot, 0), problem.columns[:, 2:]])
    lines = problem.with_columns(sides)
    if not determined(sides, lines.groups):
        return None
    fitted = fit(lines)
    contrasts = np.eye(fitted.means.shape[1])
    return fitted.probability_positive(contrasts[1]), fitted.probability_positive(contrasts[2])


def optimum(curve: Curve, low: float, high: float, level: float) -> Optimum:
    """The u at which the cost is lowest, by the signs of the slope (Fieller 1954, J. R. Stat. Soc. B 16(2)).

    The optimum lies above every depth at which the cost surely falls, and below every depth at which it surely rises,
    since it has one lowest place between the ends. An end of the interval is None where nothing bounds that side; both
    are where the cost surely rises before it falls.
    """
    positions = np.linspace(low, high, SET_POINTS)
    tail = (1 - level) / 2
    chances = curve.rise_along(positions)
    falls, rises = np.flatnonzero(chances <= tail), np.flatnonzero(chances >= 1 - tail)
    lower = float(positions[falls[-1]]) if len(falls) else None
    upper = float(positions[rises[0]]) if len(rises) else None
    if lower is not None and upper is not None and lower > upper:
        return Optimum(None, None, None)
    located = lower is not None or upper is not None
    return Optimum(curve.vertex(low, high) if located else None, lower, upper)


def spearman(first: Floats, second: Floats, level: float) -> Interval | None:
    """Rank correlation with its interval (Bonett and Wright 2000, Psychometrika 65(1)); None below five pairs."""
    count = len(first)
    if count < 5 or len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return None
    rho = float(spearmanr(first, second).statistic)
    bounded = min(max(rho, -0.999999), 0.999999)
    half = float(ndtri((1 + level) / 2)) * float(np.sqrt((1 + rho**2 / 2) / (count - 3)))
    ends = [float(np.tanh(np.arctanh(bounded) + side * half)) for side in (-1, 1)]
    return Interval(rho, ends[0], ends[1])

"""The front of cost against decode speed over depth, and its knee with an interval.

Cost and log speed are curves over log depth, fitted to all architectures of a budget. Going deeper, the front keeps
what is better than everything faster. Its knee is the place furthest on the good side of the line between the front's
ends, both objectives scaled between them (Das 1999, Structural Optimization 18(2-3); ``search.pareto.knee`` takes the
same of trials; of a convex front Satopää et al. 2011, ICDCSW, section III, find the same place). It therefore depends
on the depths that were tried: the front ends at the shallowest, and at the best or the deepest.

The interval is that of many draws of both curves from their posteriors, with front and knee found anew in each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from studies.formulas.fitting.fit import Fit
from studies.formulas.fitting.shapes import Curve

Floats = NDArray[np.float64]
POSITIONS = 121
DRAWS = 1000
SEED = 0


@dataclass(frozen=True, slots=True)
class Knee:
    """Where the front bends, in log2(depth / reference); None where it is an end of the depths tried."""

    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class FrontCurve:
    """Both curves along the tried depths."""

    u: Floats
    """log2(depth / reference), ascending, shape (POSITIONS,)."""
    on_front: NDArray[np.bool_]
    knee: Knee


def find_front(cost: Curve, log_speed: Curve, low: float, high: float, level: float) -> FrontCurve:
    """The front between two depths and its knee.

    Args:
        cost: over u.
        log_speed: log of tokens decoded in a second, over u.
        low: smallest u.
        high: largest u.
        level: of the interval.
    """
    u = np.linspace(low, high, POSITIONS)
    generator = np.random.default_rng(SEED)
    means = _values(cost.fit.mean()[None], cost.degree, u), _values(log_speed.fit.mean()[None], log_speed.degree, u)
    drawn = [_values(_draw(curve.fit, generator), curve.degree, u) for curve in (cost, log_speed)]
    tail = (1 - level) / 2
    places = np.sort(knees(drawn[0], np.exp(drawn[1])))
    ends = [int(places[round(share * (DRAWS - 1))]) for share in (tail, 1 - tail)]
    middle = int(knees(means[0], np.exp(means[1]))[0])
    found = [float(u[place]) if 0 < place < POSITIONS - 1 else None for place in (middle, *ends)]
    return FrontCurve(u, fronts(means[0], np.exp(means[1]))[0], Knee(*found))


def fronts(costs: Floats, speeds: Floats) -> NDArray[np.bool_]:
    """Which places no faster place is as good as; rows are curves, shape (curves, places)."""
    order = np.lexsort((costs, -speeds), axis=1)
    sorted_costs = np.take_along_axis(costs, order, axis=1)
    best = np.minimum.accumulate(sorted_costs, axis=1)
    kept = np.ones(costs.shape, dtype=np.bool_)
    kept[:, 1:] = sorted_costs[:, 1:] < best[:, :-1]
    result = np.empty_like(kept)
    np.put_along_axis(result, order, kept, axis=1)
    return result


def knees(costs: Floats, speeds: Floats) -> NDArray[np.intp]:
    """Place of the knee of each row's front, shape (curves,)."""
    kept = fronts(costs, speeds)
    sums = _scaled(costs, kept) + _scaled(-speeds, kept)
    places: NDArray[np.intp] = np.argmin(np.where(kept, sums, np.inf), axis=1)
    return places


def _scaled(values: Floats, kept: NDArray[np.bool_]) -> Floats:
    """From the front's best value, 0, to its worst, 1."""
    low = np.where(kept, values, np.inf).min(axis=1, keepdims=True)
    width = np.where(kept, values, -np.inf).max(axis=1, keepdims=True) - low
    scaled: Floats = (values - low) / np.where(width > 0, width, 1.0)
    return scaled


def _values(parameters: Floats, degree: int, u: Floats) -> Floats:
    """Polynomials without their level, which moves no knee, shape (curves, places)."""
    powers = u[None, :] ** np.arange(1, degree + 1)[:, None]
    values: Floats = parameters[:, 1 : degree + 1] @ powers
    return values


def _draw(fit: Fit, generator: Generator) -> Floats:
    """Parameters from the posterior, shape (DRAWS, 1 + slopes)."""
    components = generator.choice(len(fit.weights), size=DRAWS, p=fit.weights)
    roots = np.linalg.cholesky(fit.covariances + 1e-12 * _diagonals(fit.covariances))
    normals = generator.standard_normal((DRAWS, fit.means.shape[1]))
    drawn: Floats = fit.means[components] + np.einsum("nij,nj->ni", roots[components], normals)
    return drawn


def _diagonals(covariances: Floats) -> Floats:
    """The diagonal of each matrix, as matrices; a little of it makes rounding harmless."""
    diagonals: Floats = np.einsum("mii->mi", covariances)[:, :, None] * np.eye(covariances.shape[1])
    return diagonals

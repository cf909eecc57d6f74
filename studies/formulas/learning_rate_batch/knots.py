"""Laws of the best rate whose exponent changes at a batch that is fitted too: broken and saturating ones.

    broken_power   r·x + r_change·max(0, x - k)
    saturating     -alpha·ln(1 + exp(k - x))

x = ln(B / reference), less what the knot's own law says of the length; k is the knot. Given k the law is linear, so
that k is profiled on a grid: its likelihood there weighs the fits, and it enters intervals as one more parameter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

from studies.formulas.fitting.fit import Fit
from studies.formulas.fitting.mixed import MixedFit, MixedProblem, fit_mixed, solve_at

Floats = NDArray[np.float64]
STEP = 0.2
"""Of the grid of knots, in log batch (assumed: knots are known to about 0.3)."""
NEAR = 1.0
"""How far from the knot of all grids that of some of them is looked for, in log batch (assumed)."""
NEGLIGIBLE = 1e-6
"""Weight, over the largest, below which a part of a mixture is left out (assumed)."""
BEYOND = 3.0
"""How far beyond the tried batches a knot is looked for, in log batch (assumed: a factor of 20)."""
MIN_SIDE_BATCHES = 2
"""Batches on each side of an identified knot (assumed)."""
IDENTIFIED = 0.99
"""Level at which one exponent must be contradicted (assumed: above 0.95, since the knot is placed with the same
data)."""
BOUNDED = 0.95
"""Level at which a B_noise without batches on both sides must be ruled out."""
SLOPES: Mapping[str, int] = {"broken_power": 2, "saturating": 1}
"""Parameter that is zero where the form is a simpler one."""


def _broken(x: Floats, knot: float) -> Floats:
    return np.column_stack([x, np.maximum(x - knot, 0)])


def _saturating(x: Floats, knot: float) -> Floats:
    return -np.logaddexp(0, knot - x)[:, None]


KNOT_FORMS: Mapping[str, Callable[[Floats, float], Floats]] = {"broken_power": _broken, "saturating": _saturating}
"""Columns of the law, the one first whose slope differs between grids."""


@dataclass(frozen=True, slots=True)
class KnotProblem:
    """A law with a knot: ``mixed`` has the other columns, which follow those of the form."""

    mixed: MixedProblem
    x: Floats
    """ln(B / reference), shifted as the knot moves from row to row; shape (n,)."""
    form: str

    def at(self, knot: float) -> MixedProblem:
        """The linear problem at one knot."""
        columns = KNOT_FORMS[self.form](self.x, knot)
        return replace(self.mixed, columns=np.column_stack([columns, self.mixed.columns]), slopes=columns[:, 0])

    def only(self, kept: NDArray[np.bool_]) -> "KnotProblem":
        """The same problem on some rows."""
        return KnotProblem(self.mixed.only(kept), self.x[kept], self.form)


@dataclass(frozen=True, slots=True)
class KnotFit:
    """A fit whose last parameter is the knot."""

    fit: Fit
    knot: float
    """The best one."""
    scales: tuple[float, float, float]
    """Jitter, level and spread, at the best knot."""
    knots: Floats
    """Those that were tried."""
    logs: Floats
    """Log-likelihood of each, at these scales."""


def fit_knot(problem: KnotProblem) -> KnotFit:
    """Fit a law with a knot; the scales' posterior is that at the best knot.

    Two powers meet between the tried batches; B_noise is looked for beyond them too, so that one beyond is not taken
    for one inside.
    """
    knots = _knots(problem.x, problem.form)
    start = fit_mixed(problem.at(float(np.median(knots))))
    place = _best(problem, knots, start.scales)
    full = fit_mixed(problem.at(float(knots[place])))
    solved = [solve_at(problem.at(float(knot)), full.scales) for knot in knots]
    logs = np.array([log for _, log in solved])
    fitted = _with_knot(full, knots, np.array([means for means, _ in solved]), logs, place)
    return KnotFit(fitted, float(knots[place]), full.scales, knots, logs)


def has_room(x: Floats) -> bool:
    """Whether batches lie on both sides of some knot."""
    return len(_batches(x)) > 2 * MIN_SIDE_BATCHES and len(_knots(x, "broken_power")) > 0


def _batches(x: Floats) -> Floats:
    batches: Floats = np.unique(np.round(x, 6))
    return batches


def _ends(x: Floats) -> tuple[float, float]:
    """Between them a knot has enough batches on both sides."""
    batches = _batches(x)
    return float(batches[MIN_SIDE_BATCHES - 1]), float(batches[-MIN_SIDE_BATCHES])


def _knots(x: Floats, form: str) -> Floats:
    """Multiples of ``STEP``."""
    low, high = (x.min() - BEYOND, x.max() + BEYOND) if form == "saturating" else _ends(x)
    knots: Floats = np.arange(np.ceil(low / STEP + 1e-6), np.floor(high / STEP - 1e-6) + 1) * STEP
    return knots


def _best(problem: KnotProblem, knots: Floats, scales: tuple[float, float, float]) -> int:
    return int(np.argmax([solve_at(problem.at(float(knot)), scales)[1] for knot in knots]))


def is_identified(problem: KnotProblem, fitted: KnotFit) -> bool:
    """Whether the data contradict one exponent, and for a saturating law also that it has no end.

    A broken power must change its slope. The likelihood of a saturating law must fall on both sides of its knot, while
    batches still lie on both sides: far below, the law is a constant, far above it is a power.
    """
    slope = fitted.fit.interval(np.eye(fitted.fit.means.shape[1])[SLOPES[problem.form]], IDENTIFIED)
    if problem.form == "broken_power":
        return slope.excludes_zero()
    freedom = len(problem.x) - problem.mixed.columns.shape[1] - 3
    if freedom < 1 or slope.low <= 0:
        return False
    inside = _is_between(fitted.knots, problem.x)
    fall = fitted.logs.max() - fitted.logs
    bounds = [float(f_distribution.ppf(level, 1, freedom)) / 2 for level in (BOUNDED, IDENTIFIED)]
    return bool(fall[~inside].min() > bounds[0] and min(fall[0], fall[-1]) > bounds[1])


def _with_knot(full: MixedFit, knots: Floats, means: Floats, logs: Floats, place: int) -> Fit:
    """Spread the fit at the knot in ``place`` over all knots, by their likelihood."""
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    moves = means - means[place]
    kept = weights > 1e-4
    knots, moves, weights = knots[kept], moves[kept], weights[kept] / weights[kept].sum()
    fitted = full.fit
    size = means.shape[1]
    count = len(fitted.weights)
    centres = (fitted.means[None] + moves[:, None]).reshape(-1, size)
    covariances = np.zeros((len(knots) * count, size + 1, size + 1))
    covariances[:, :size, :size] = np.tile(fitted.covariances, (len(knots), 1, 1))
    covariances[:, size, size] = STEP**2 / 12
    shares = np.outer(weights, fitted.weights).ravel()
    heavy = shares > NEGLIGIBLE * shares.max()
    means = np.column_stack([centres, np.repeat(knots, count)])
    return replace(
        fitted,
        weights=shares[heavy] / shares[heavy].sum(),
        means=means[heavy],
        covariances=covariances[heavy],
    )


def predict_without(problem: KnotProblem, held: NDArray[np.bool_], fitted: KnotFit) -> Floats:
    """Values of the rows in ``held`` by the law, knot included, that the other rows give; shape (held rows,)."""
    rest = problem.only(~held)
    near = fitted.knots[np.abs(fitted.knots - fitted.knot) <= NEAR + 1e-6]
    possible = near if problem.form == "saturating" else near[_is_between(near, rest.x)]
    knots = possible if len(possible) else _knots(rest.x, problem.form)
    knot = float(knots[_best(rest, knots, fitted.scales)])
    means, _ = solve_at(rest.at(knot), fitted.scales)
    values: Floats = means[0] + problem.at(knot).columns[held] @ means[1:]
    return values


def _is_between(knots: Floats, x: Floats) -> NDArray[np.bool_]:
    low, high = _ends(x)
    between: NDArray[np.bool_] = (knots > low) & (knots < high)
    return between

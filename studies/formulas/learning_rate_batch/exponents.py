"""One exponent or two: the forms of a learning rate x batch law, and what each lets be said about the paper's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.formulas.evaluation import bounded_exp
from studies.formulas.fitting.fit import Fit, Interval, Problem, determined, fit, held_out_errors, root_mean_square
from studies.formulas.formula import Coefficient, PaperClaim, Verdict
from studies.formulas.learning_rate_batch.cells import Cell
from studies.formulas.verdicts import LEVEL, Ground, coefficient, constant, further_trials, position

Floats = NDArray[np.float64]
REGION = (0.4, 0.6)
CLAIM = PaperClaim(formula="F5", region=REGION, test="value")
"""r = 0.5 (paper, F5), with the room that its four tried values leave (assumed)."""
HALF_LEVEL = 1 - (1 - LEVEL) / 2
"""Level of each half's interval when either may refute (Bonferroni)."""


@dataclass(frozen=True, slots=True)
class Halves:
    """A line with a knot in the middle of the batches."""

    fit: Fit
    low: Interval
    high: Interval
    change: Interval


@dataclass(frozen=True, slots=True)
class Analysis:
    """Both forms fitted to log lr* over x = log(B / reference)."""

    problem: Problem
    """Of the form that holds."""
    power: Fit
    r: Interval
    knot: float
    """Middle of the distinct batches, in x."""
    halves: Halves | None
    """None when the batches are too few to tell two exponents apart."""

    @property
    def contradicted(self) -> bool:
        """Whether the exponents of the two halves differ."""
        return self.halves is not None and self.halves.change.excludes_zero()

    @property
    def fit(self) -> Fit:
        """The fit of the form that holds."""
        return self.halves.fit if self.halves is not None and self.contradicted else self.power


@dataclass(frozen=True, slots=True)
class Judgement:
    """What may be said."""

    coefficients: dict[str, Coefficient]
    verdict: Verdict
    reasons: tuple[str, ...]


def analyse(problem: Problem, shift_error: float) -> Analysis:
    """Fit one exponent, and two where the batches allow it.

    Args:
        problem: log lr* over x, the first column.
        shift_error: error that all log lr* share.
    """
    power = fit(problem).with_level_error(shift_error)
    r = power.interval(_unit(power, 1), LEVEL)
    knot = float(np.median(np.unique(problem.columns[:, 0])))
    broken = problem.with_columns(_broken_columns(problem, knot))
    parameters = problem.groups.max() + 1 + broken.columns.shape[1]
    if len(problem.response) < parameters or not determined(broken.columns, broken.groups):
        return Analysis(problem, power, r, knot, None)
    fitted = fit(broken).with_level_error(shift_error)
    low, change = _unit(fitted, 1), _unit(fitted, 2)
    halves = Halves(
        fitted,
        fitted.interval(low, HALF_LEVEL),
        fitted.interval(low + change, HALF_LEVEL),
        fitted.interval(change, LEVEL),
    )
    return Analysis(broken if halves.change.excludes_zero() else problem, power, r, knot, halves)


def _broken_columns(problem: Problem, knot: float) -> Floats:
    x = problem.columns[:, 0]
    return np.column_stack([x, np.maximum(x - knot, 0), problem.columns[:, 1:]])


def _unit(fitted: Fit, index: int) -> Floats:
    contrast = np.zeros(fitted.means.shape[1])
    contrast[index] = 1
    return contrast


def judge(analysis: Analysis, ground: Ground, trials: int, reference: float) -> Judgement:
    """Compare with the paper's region: the one exponent if it holds, else each half by itself."""
    fitted = analysis.fit
    level = fitted.interval(_unit(fitted, 0), LEVEL)
    shared = {
        "c": coefficient(
            Interval(*(bounded_exp(end) for end in (level.estimate, level.low, level.high))), "learning rate"
        ),
        "reference_batch_tokens": constant(reference, "tokens"),
    }
    if analysis.halves is None:
        reason = "the batches are too few to test whether the exponent is constant: add one at the same rates"
        r = coefficient(analysis.r, "1", CLAIM, ground.verdict("across"))
        return Judgement({**shared, "r": r}, ground.verdict("across"), (reason,))
    if analysis.contradicted:
        return _judge_halves(analysis, analysis.halves, ground, shared, reference)
    where = position(analysis.r, REGION)
    verdict = ground.verdict(where)
    reasons = [_where(analysis.r, where)]
    if where == "across":
        reasons.append(further_trials(analysis.r, REGION, trials))
    coefficients = {
        **shared,
        "r": coefficient(analysis.r, "1", CLAIM, verdict),
        "r_change": coefficient(analysis.halves.change),
    }
    return Judgement(coefficients, verdict, tuple(reasons))


def _judge_halves(
    analysis: Analysis, halves: Halves, ground: Ground, shared: Mapping[str, Coefficient], reference: float
) -> Judgement:
    places = [position(half, REGION) for half in (halves.low, halves.high)]
    verdict = ground.verdict("outside" if "outside" in places else "across")
    knot = reference * bounded_exp(analysis.knot)
    reason = (
        f"one exponent for all batches is contradicted: r = {halves.low.estimate:.2f} below {knot:.0f} tokens and "
        f"{halves.high.estimate:.2f} above (change {halves.change.estimate:.2f}, 95 % interval "
        f"{halves.change.low:.2f} to {halves.change.high:.2f})"
    )
    low, high = (
        coefficient(half, "1", CLAIM, ground.verdict(place)).model_copy(update={"level": HALF_LEVEL})
        for half, place in zip((halves.low, halves.high), places, strict=True)
    )
    coefficients = {
        **shared,
        "knot_batch_tokens": constant(knot, "tokens"),
        "r": low,
        "r_high": high,
        "r_change": coefficient(halves.change),
        "r_overall": coefficient(analysis.r),
    }
    return Judgement(coefficients, verdict, (reason,))


def _where(interval: Interval, where: str) -> str:
    said = {"inside": "lies inside", "outside": "lies outside", "across": "is not all inside or outside"}[where]
    return f"the interval of r, {interval.low:.2f} to {interval.high:.2f}, {said} the paper's region 0.4 to 0.6"


def rival_errors(analysis: Analysis) -> dict[str, float]:
    """Held-out error in log lr of the power law and its rivals: no effect of the batch, r = 0.5, two exponents."""
    problem = analysis.problem
    jitter = analysis.fit.jitter
    x = problem.columns[:, :1]
    covariates = problem.columns[:, 2 if analysis.contradicted else 1 :]
    power = problem.with_columns(np.column_stack([x, covariates]))
    flat = problem.with_columns(covariates)
    rivals = {
        "power": power,
        "constant": flat,
        "paper": flat.with_response(problem.response - 0.5 * x[:, 0]),
        "broken_power": power.with_columns(_broken_columns(power, analysis.knot)),
    }
    return {name: root_mean_square(held_out_errors(rival, jitter)) for name, rival in rivals.items()}


def slopes_around_best_batch(cells: Sequence[Cell]) -> dict[str, float | int | None]:
    """Median slope over grids, below and from twice the batch with the lowest profile on (descriptive)."""
    below: list[float] = []
    above: list[float] = []
    for group in sorted({cell.group for cell in cells}):
        grid = [cell for cell in cells if cell.group == group]
        limit = 2 * min(grid, key=lambda cell: cell.profile.cost).batch_tokens
        for side, slopes in ((True, below), (False, above)):
            part = [cell for cell in grid if (cell.batch_tokens < limit) == side]
            if len({cell.batch_tokens for cell in part}) >= 2:
                x, y = np.log([cell.batch_tokens for cell in part]), [cell.profile.log_rate for cell in part]
                slopes.append(float(np.polyfit(x, y, 1)[0]))
    return {
        "median_r_below": float(np.median(below)) if below else None,
        "grids_below": len(below),
        "median_r_above": float(np.median(above)) if above else None,
        "grids_above": len(above),
    }

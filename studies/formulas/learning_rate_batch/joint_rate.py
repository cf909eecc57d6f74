"""The best rate over size, length and batch: the regressions behind the variant ``joint_rate``.

    ln lr* = c + a·ln N + b·ln D + g(x),   x = ln(B / (reference·D^e))

The batch counts in units that grow with the length as the best batch does (exponent e, of ``best_batch``), so that
c, a and b are those at a fixed multiple of the best batch. g is a power, two powers that meet at a knot, or one that
saturates. At a fixed batch the exponent of D is b - e·r where g has the slope r.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.formulas.fitting.fit import Fit, fit, root_mean_square
from studies.formulas.fitting.mixed import MixedProblem, fit_mixed, solve_at
from studies.formulas.learning_rate_batch.best_batch import BestBatch, best_batch_problem
from studies.formulas.learning_rate_batch.joint_table import LENGTH, JointTable, folds
from studies.formulas.learning_rate_batch.knots import (
    KNOT_FORMS,
    KnotFit,
    KnotProblem,
    fit_knot,
    has_room,
    is_identified,
    predict_without,
)
from studies.formulas.learning_rate_batch.rate_at_best_batch import is_determined

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class JointRate:
    """ln lr* over N, D and B. Parameters: ln c, those of the batch, those of N and D that vary, and the knot."""

    form: str
    fit: Fit
    errors: Floats
    """Of each cell, by the law of the other grids; shape (cells,)."""
    rivals: dict[str, float]
    """Held-out error of every form that can be fitted."""
    best: BestBatch | None


def fit_joint_rate(table: JointTable, best: BestBatch | None) -> JointRate | None:
    """Fit every form that the batches allow, and keep the one with the smallest error on grids that are left out.

    None where not even the power is determined.
    """
    exponent = 0.0 if best is None else best.exponent
    power = _power(table, exponent)
    if not is_determined(power, table, len(table.varied)):
        return None
    fitted = fit_mixed(power)
    candidates: dict[str, tuple[Fit, Floats]] = {"power": (fitted.fit, _power_errors(table, fitted.scales))}
    for form in KNOT_FORMS:
        problem = _with_knot(table, form, exponent)
        if has_room(problem.x):
            found = fit_knot(problem)
            if is_identified(problem, found):
                candidates[form] = (found.fit, _knot_errors(table, form, found))
    rivals = {form: root_mean_square(errors) for form, (_, errors) in candidates.items()}
    form = min(rivals, key=lambda name: rivals[name])
    chosen, errors = candidates[form]
    return JointRate(form, chosen.with_level_error(table.shift_error), errors, rivals, best)


def _against_best_batch(table: JointTable, exponent: float) -> Floats:
    """X of each cell."""
    moved: Floats = table.x - exponent * table.cell_columns((LENGTH,))[:, 0]
    return moved


def _power(table: JointTable, exponent: float) -> MixedProblem:
    x = _against_best_batch(table, exponent)
    return table.rates(np.column_stack([x, table.cell_columns(table.varied)]), x)


def _with_knot(table: JointTable, form: str, exponent: float) -> KnotProblem:
    x = _against_best_batch(table, exponent)
    return KnotProblem(table.rates(table.cell_columns(table.varied), x), x, form)


def _exponent_without(table: JointTable, groups: Sequence[int]) -> float:
    """E by the best batches of the other grids."""
    rest = best_batch_problem(table.without(groups))
    return 0.0 if rest is None else float(fit(rest[0]).mean()[1])


def _held(table: JointTable, groups: Sequence[int]) -> NDArray[np.bool_]:
    return np.array([cell.group in groups for cell in table.cells])


def _power_errors(table: JointTable, scales: tuple[float, float, float]) -> Floats:
    """A power is the same law whatever e is."""
    problem = _power(table, 0.0)
    errors = np.empty_like(problem.response)
    for groups in folds(table.grid_ids):
        held = _held(table, groups)
        means, _ = solve_at(problem.only(~held), scales)
        errors[held] = problem.response[held] - means[0] - problem.columns[held] @ means[1:]
    return errors


def _knot_errors(table: JointTable, form: str, found: KnotFit) -> Floats:
    errors = np.empty_like(table.response)
    for groups in folds(table.grid_ids):
        held = _held(table, groups)
        problem = _with_knot(table, form, _exponent_without(table, groups))
        errors[held] = table.response[held] - predict_without(problem, held, found)
    return errors

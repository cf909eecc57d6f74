"""The learning rate x batch law, lr* = c·(B/B0)^r (paper F5: r = 0.5 below a batch of 4M tokens, at 1B parameters).

Each grid (everything fixed but rate, batch and seed) is profiled at each batch (``profiles``); the best rates are
regressed on the batch with an intercept for each grid (``fit``). Because r is known to vary with the batch, a line
with a knot in the middle of the batches is fitted too: when its two slopes differ, the power form is contradicted and
the law is a ``broken_power``, or a ``saturating`` one where that is identified and predicts grids left out better.

Coefficients: ``c`` best rate at ``reference_batch_tokens`` (geometric mean over grids); ``r`` the exponent (in
``broken_power`` that below ``knot_batch_tokens``); ``r_change`` what is added to it above the knot. ``broken_power``
also has ``r_high`` = r + r_change, and ``r_overall``, the exponent of the contradicted single power.
"""

import math
from collections.abc import Sequence

from studies.formulas.fitting.censoring import select
from studies.formulas.fitting.fit import Problem, determined
from studies.formulas.fitting.profiles import MIN_RATES
from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch import supply
from studies.formulas.learning_rate_batch.cells import Cell, Table, build_problem, build_table
from studies.formulas.learning_rate_batch.exponents import analyse
from studies.formulas.learning_rate_batch.joint_law import joint_formulas
from studies.formulas.learning_rate_batch.optima import best_batches
from studies.formulas.learning_rate_batch.principal import Fitted, formula_without_fit, principal_formula
from studies.formulas.learning_rate_batch.saturating import fit_saturating
from studies.formulas.observations import FitContext, Observation

MIN_BATCHES = 3


def fit_learning_rate_batch(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Fit the law of the rate over the batch, and joint laws over size and length where grids differ in them.

    Returns:
        Empty where rate or batch did not vary: the law does not apply.
    """
    if any(
        len({row.number_of(name) for row in observations} - {None}) < 2 for name in ("learning_rate", "batch_tokens")
    ):
        return ()
    table = build_table(observations, context)
    missing = _missing(table, observations)
    if missing is not None:
        return (formula_without_fit(observations, context, table, *missing),)
    assert table.profiles is not None
    reference = _reference(table)
    problem = build_problem(table, reference)
    selection = select(problem, [cell.profile for cell in table.cells])
    cells = tuple(cell for cell, kept in zip(table.cells, selection.kept, strict=True) if kept)
    problem = problem.with_response(selection.response).only(selection.kept)
    if not _enough(cells, problem):
        return (formula_without_fit(observations, context, table, *_censored(table, len(cells), observations)),)
    shift = table.profiles.shift_error
    fitted = Fitted(
        observations,
        context,
        table,
        cells,
        analyse(problem, shift),
        fit_saturating(problem, problem.columns[:, 1:], shift),
        best_batches(cells),
        reference,
    )
    return (principal_formula(fitted), *joint_formulas(fitted, shift))


def _missing(table: Table, observations: Sequence[Observation]) -> tuple[str, supply.Patch | None] | None:
    """What is missing in words and as changes to the spec; None where the cells suffice."""
    if table.profiles is None:
        reason = (
            f"the best rate is bracketed nowhere: train each batch at {MIN_RATES} rates or more around its best one "
            f"(two to five further trials for each batch, factors of 2 apart)"
        )
        return reason, supply.rates(observations, True, True)
    if not table.cells:
        reason = (
            "no architecture was trained at two batches with three rates each: repeat one architecture at "
            f"{MIN_BATCHES} batches x {MIN_RATES} rates ({MIN_BATCHES * MIN_RATES} further trials)"
        )
        return reason, supply.one_grid(observations, MIN_BATCHES)
    missing = MIN_BATCHES - len(table.batches)
    if missing > 0:
        reason = (
            f"{len(table.batches)} batches cannot show whether the exponent is constant: add {missing} batch at the "
            f"rates already used ({missing * max(cell.rates for cell in table.cells)} further trials for each grid)"
        )
        return reason, supply.batches(observations, 0, missing)
    return None


def _enough(cells: Sequence[Cell], problem: Problem) -> bool:
    if len({cell.batch_tokens for cell in cells}) < MIN_BATCHES:
        return False
    freedom = len(cells) - (problem.groups.max() + 1) - problem.columns.shape[1]
    return bool(freedom >= 1 and determined(problem.columns, problem.groups))


def _censored(table: Table, kept: int, observations: Sequence[Observation]) -> tuple[str, supply.Patch | None]:
    low = sum(cell.profile.edge == "low" for cell in table.cells)
    high = sum(cell.profile.edge == "high" for cell in table.cells)
    reason = (
        f"the best rate is below the smallest tried one in {low} and above the largest in {high} of "
        f"{len(table.cells)} profiles, which leaves {kept}: extend the rates on that side by two steps "
        f"(about {2 * max(low + high, 1)} further trials)"
    )
    return reason, supply.rates(observations, low > 0, high > 0 or low == 0)


def _reference(table: Table) -> float:
    """The largest power of two not above the middle batch, so that ``c`` is the rate there in both forms."""
    batches = table.batches
    return float(2 ** math.floor(math.log2(batches[(len(batches) - 1) // 2])))

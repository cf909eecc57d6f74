"""Joint laws as formulas: ``joint_rate`` lr*(N, D, B), ``best_batch`` B*(D) and ``rate_at_best_batch`` lr*(N, D).

N is ``non_embedding_parameters`` where trials report it, else ``total_parameters``. Where both are reported, the laws
of N come once more with the suffix ``_total_parameters``. D is ``train_tokens``. The paper claims nothing about them.
"""

from collections.abc import Sequence

from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch import best_batch, joint_rate_formula, rate_at_best_batch
from studies.formulas.learning_rate_batch.best_batch import fit_best_batch
from studies.formulas.learning_rate_batch.cells import Cell
from studies.formulas.learning_rate_batch.joint_parts import Request
from studies.formulas.learning_rate_batch.joint_rate import fit_joint_rate
from studies.formulas.learning_rate_batch.joint_shortcomings import formula_without_fit
from studies.formulas.learning_rate_batch.joint_table import LENGTH, JointTable, build_joint_table
from studies.formulas.learning_rate_batch.principal import Fitted, domain_of
from studies.formulas.learning_rate_batch.rate_at_best_batch import fit_rate_at_best_batch
from studies.formulas.observations import Observation

SIZE_NAMES = ("non_embedding_parameters", "total_parameters")


def joint_formulas(fitted: Fitted, shift_error: float) -> list[Formula]:
    """Every joint law, those without numbers too; none where sizes and lengths are everywhere the same.

    Args:
        fitted: the principal law, whose cells and best batches are used.
        shift_error: error that all ln lr* share.
    """
    found: list[Formula] = []
    response = fitted.analysis.problem.response
    for place, name in enumerate(known_sizes(fitted.cells)):
        table = build_joint_table(fitted.cells, response, fitted.optima, shift_error, name, fitted.reference)
        if table is not None:
            domain = domain_of(fitted.observations, fitted.cells)
            request = Request(fitted.context, domain, f"_{name}" if place else "")
            found += _of_size(request, table, fitted.observations, first=not place)
    return found


def known_sizes(cells: Sequence[Cell]) -> list[str]:
    """Parameter counts that every cell reports."""
    return [name for name in SIZE_NAMES if all(name in cell.sizes for cell in cells)]


def _of_size(request: Request, table: JointTable, observations: Sequence[Observation], first: bool) -> list[Formula]:
    """The laws of one parameter count; that of the batch, which has none, comes with the first."""
    best = fit_best_batch(table)
    rate, at_best = fit_joint_rate(table, best), fit_rate_at_best_batch(table)
    fitted: dict[str, Formula | None] = dict.fromkeys((joint_rate_formula.VARIANT, rate_at_best_batch.VARIANT))
    if rate is not None:
        fitted[joint_rate_formula.VARIANT] = joint_rate_formula.build_formula(request, table, rate)
    if at_best is not None:
        fitted[rate_at_best_batch.VARIANT] = rate_at_best_batch.build_formula(request, table, at_best)
    if first and LENGTH in table.varied:
        fitted[best_batch.VARIANT] = None if best is None else best_batch.build_formula(request, table, best)
    return [
        formula_without_fit(request, table, variant, observations) if law is None else law
        for variant, law in fitted.items()
    ]

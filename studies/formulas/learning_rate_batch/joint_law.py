"""Joint laws as formulas: ``joint_rate`` lr*(N, D, B), ``best_batch`` B*(D) and ``rate_at_best_batch`` lr*(N, D).

N is ``non_embedding_parameters`` where trials report it, else ``total_parameters``. Where both are reported, the laws
of N come once more with the suffix ``_total_parameters``. D is ``train_tokens``. The paper claims nothing about them.
"""

from collections.abc import Sequence

from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch.best_batch import BestBatch, best_batch_formula, fit_best_batch
from studies.formulas.learning_rate_batch.cells import Cell
from studies.formulas.learning_rate_batch.joint_parts import Request
from studies.formulas.learning_rate_batch.joint_rate import fit_joint_rate
from studies.formulas.learning_rate_batch.joint_rate_formula import joint_rate_formula
from studies.formulas.learning_rate_batch.joint_table import JointTable, build_joint_table
from studies.formulas.learning_rate_batch.principal import Fitted, domain_of
from studies.formulas.learning_rate_batch.rate_at_best_batch import fit_rate_at_best_batch, rate_at_best_batch_formula

SIZE_NAMES = ("non_embedding_parameters", "total_parameters")


def joint_formulas(fitted: Fitted, shift_error: float) -> list[Formula]:
    """Every joint law that the grids determine; none where sizes and lengths are everywhere the same.

    Args:
        fitted: the principal law, whose cells and best batches are used.
        shift_error: error that all ln lr* share.
    """
    found: list[Formula] = []
    for place, name in enumerate(known_sizes(fitted.cells)):
        response = fitted.analysis.problem.response
        table = build_joint_table(fitted.cells, response, fitted.optima, shift_error, name, fitted.reference)
        if table is None:
            continue
        domain = domain_of(fitted.observations, fitted.cells)
        request = Request(fitted.context, domain, f"_{name}" if place else "")
        best = fit_best_batch(table)
        found += _of_size(request, table, best)
        if best is not None and not place:
            found.append(best_batch_formula(request, table, best))
    return found


def known_sizes(cells: Sequence[Cell]) -> list[str]:
    """Parameter counts that every cell reports."""
    return [name for name in SIZE_NAMES if all(name in cell.sizes for cell in cells)]


def _of_size(request: Request, table: JointTable, best: BestBatch | None) -> list[Formula]:
    laws: list[Formula] = []
    rate = fit_joint_rate(table, best)
    if rate is not None:
        laws.append(joint_rate_formula(request, table, rate))
    at_best = fit_rate_at_best_batch(table)
    if at_best is not None:
        laws.append(rate_at_best_batch_formula(request, table, at_best))
    return laws

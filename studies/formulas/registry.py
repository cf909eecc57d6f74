"""Every law that can be fitted, in the order in which they are reported."""

from collections.abc import Callable, Sequence

from model.config import Parametrisation
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation, by_parametrisation

Law = Callable[[Sequence[Observation], FitContext], Sequence[Formula]]
"""Fits the formulas of one kind, the principal one first; none where the data do not vary what the law is about."""
LAWS: tuple[Law, ...] = (
    fit_depth_width,
    fit_learning_rate_batch,
)


def fit_all(observations: Sequence[Observation], context: FitContext) -> list[Formula]:
    """Fit every law that applies to the data; one that applies but lacks data is ``undetermined`` and says why.

    Trials of the standard parametrisation and of muP get laws of their own.
    """
    formulas: list[Formula] = []
    for parametrisation, rows in by_parametrisation(observations).items():
        fitted = (formula for law in LAWS for formula in law(rows, context))
        formulas += [_labelled(formula, parametrisation, context) for formula in fitted]
    return formulas


def _labelled(formula: Formula, parametrisation: Parametrisation, context: FitContext) -> Formula:
    if parametrisation == "standard":
        return formula
    own = {
        "id": context.formula_id(formula.kind, formula.variant, parametrisation),
        "parametrisation": parametrisation,
    }
    return formula.model_copy(update={**own, "statement": f"{formula.statement} (under muP)"})

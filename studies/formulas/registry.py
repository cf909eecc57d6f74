"""Every law that can be fitted, in the order in which they are reported."""

from collections.abc import Callable, Mapping, Sequence

from model.config import Parametrisation
from studies.formulas.depth_width import fit_depth_width
from studies.formulas.formula import Formula, FormulaKind
from studies.formulas.learning_rate_batch import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation, by_parametrisation

Law = Callable[[Sequence[Observation], FitContext], Formula | None]
LAWS: Mapping[FormulaKind, Law] = {
    "depth_width": fit_depth_width,
    "learning_rate_batch": fit_learning_rate_batch,
}


def fit_all(observations: Sequence[Observation], context: FitContext) -> list[Formula]:
    """Fit every law that applies to the data; one that applies but lacks data is ``undetermined`` and says why.

    Trials of the standard parametrisation and of muP get laws of their own.
    """
    formulas: list[Formula] = []
    for parametrisation, rows in by_parametrisation(observations).items():
        fitted = (law(rows, context) for law in LAWS.values())
        formulas += [_labelled(formula, parametrisation, context) for formula in fitted if formula is not None]
    return formulas


def _labelled(formula: Formula, parametrisation: Parametrisation, context: FitContext) -> Formula:
    if parametrisation == "standard":
        return formula
    own = {"id": context.formula_id(formula.kind, parametrisation), "parametrisation": parametrisation}
    return formula.model_copy(update={**own, "statement": f"{formula.statement} (under muP)"})

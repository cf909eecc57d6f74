"""Every law that can be fitted, in the order in which they are reported."""

from collections.abc import Callable, Mapping, Sequence

from studies.formulas.depth_width import fit_depth_width
from studies.formulas.formula import Formula, FormulaKind
from studies.formulas.learning_rate_batch import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation

Law = Callable[[Sequence[Observation], FitContext], Formula | None]
LAWS: Mapping[FormulaKind, Law] = {
    "depth_width": fit_depth_width,
    "learning_rate_batch": fit_learning_rate_batch,
}


def fit_all(observations: Sequence[Observation], context: FitContext) -> list[Formula]:
    """Fit every law that applies to the data; one that applies but lacks data is ``undetermined`` and says why."""
    formulas = (law(observations, context) for law in LAWS.values())
    return [formula for formula in formulas if formula is not None]

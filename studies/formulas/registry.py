"""Every law that can be fitted, in the order in which they are reported."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search.events import Value
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation
from studies.formulas.regimes import by_regime, described, distinguishing
from studies.formulas.scaling.law import fit_scaling
from studies.formulas.vocabulary.law import fit_vocabulary

Law = Callable[[Sequence[Observation], FitContext], Sequence[Formula]]
"""Fits the formulas of one kind, the principal one first; none where the data do not vary what the law is about."""
LAWS: tuple[Law, ...] = (
    fit_vocabulary,
    fit_depth_width,
    fit_learning_rate_batch,
    fit_scaling,
)


def fit_all(observations: Sequence[Observation], context: FitContext) -> list[Formula]:
    """Fit every law that applies to the data; one that applies but lacks data is ``undetermined`` and says why.

    Trials of each regime (parametrisation, schedule, decay mode …) get laws of their own.
    """
    groups = by_regime(observations)
    formulas: list[Formula] = []
    for regime, rows in groups.items():
        own = distinguishing(regime, list(groups))
        fitted = (formula for law in LAWS for formula in law(rows, context))
        formulas += [_labelled(formula, described(regime), own, context) for formula in fitted]
    return formulas


def _labelled(formula: Formula, regime: Mapping[str, Value], own: Mapping[str, Value], context: FitContext) -> Formula:
    """Say under which regime a formula holds; ``own`` is what tells it from those beside it."""
    parametrisation = "mup" if regime["parametrisation"] == "mup" else "standard"
    update: dict[str, Any] = {"regime": dict(regime), "parametrisation": parametrisation}
    if own:
        words = ", ".join("muP" if value == "mup" else f"{name} {value}" for name, value in own.items())
        update["id"] = context.formula_id(formula.kind, formula.variant, *map(str, own.values()))
        update["statement"] = f"{formula.statement} (under {words})"
    return formula.model_copy(update=update)

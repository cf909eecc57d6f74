"""Every law that can be fitted, in the order in which they are reported."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search.events import Value
from studies.formulas.comparisons.law import fit_inheritance, fit_initialization, fit_multiple_rounds
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.formula import Formula
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation
from studies.formulas.regimes import Regime, by_regime, described, distinguishing
from studies.formulas.scaling.law import fit_scaling
from studies.formulas.shrink.law import fit_shrink
from studies.formulas.vocabulary.law import fit_vocabulary

Law = Callable[[Sequence[Observation], FitContext], Sequence[Formula]]
"""Fits the formulas of one kind, the principal one first; none where the data do not vary what the law is about."""
LAWS: tuple[Law, ...] = (
    fit_vocabulary,
    fit_depth_width,
    fit_learning_rate_batch,
    fit_inheritance,
    fit_multiple_rounds,
    fit_scaling,
    fit_shrink,
)
ACROSS_PARAMETRISATIONS: tuple[Law, ...] = (fit_initialization,)
"""Laws that compare parametrisations, and so see the trials of all of them."""


def fit_all(observations: Sequence[Observation], context: FitContext) -> list[Formula]:
    """Fit every law that applies to the data; one that applies but lacks data is ``undetermined`` and says why.

    Trials of each regime (parametrisation, schedule, decay mode …) get laws of their own, but for laws that compare
    parametrisations.
    """
    groups = by_regime(observations)
    joined: dict[Regime, list[Observation]] = {}
    for (_, *rest), rows in groups.items():
        joined.setdefault((None, *rest), []).extend(rows)
    return [*_fitted(ACROSS_PARAMETRISATIONS, joined, context), *_fitted(LAWS, groups, context)]


def _fitted(laws: Sequence[Law], groups: Mapping[Regime, Sequence[Observation]], context: FitContext) -> list[Formula]:
    formulas: list[Formula] = []
    for regime, rows in groups.items():
        own = distinguishing(regime, list(groups))
        found = (formula for law in laws for formula in law(rows, context))
        formulas += [_labelled(formula, described(regime), own, context) for formula in found]
    return formulas


def _labelled(formula: Formula, regime: Mapping[str, Value], own: Mapping[str, Value], context: FitContext) -> Formula:
    """Say under which regime a formula holds; ``own`` is what tells it from those beside it."""
    parametrisation = "mup" if regime.get("parametrisation") == "mup" else "standard"
    update: dict[str, Any] = {"regime": dict(regime), "parametrisation": parametrisation}
    if own:
        words = ", ".join("muP" if value == "mup" else f"{name} {value}" for name, value in own.items())
        update["id"] = context.formula_id(formula.kind, formula.variant, *map(str, own.values()))
        update["statement"] = f"{formula.statement} (under {words})"
    return formula.model_copy(update=update)

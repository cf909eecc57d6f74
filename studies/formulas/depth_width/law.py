"""The depth x width law at an equal budget of parameters (paper F2: depth is primary, deeper is better up to a knee).

At a fixed budget and vocabulary, depth, width and FFN ratio are tied together. Two contrasts along the budget remain:
depth at a fixed ratio (the width follows) and ratio at a fixed depth (against the width). Each architecture counts
with the objective at its own best learning rate (``architectures``); the other parameters are covariates.

Coefficients, in units of the objective: ``depth_effect`` linear trend per doubling of depth; ``level``,
``depth_slope``, ``depth_curvature`` (per doubling and per doubling squared, about ``reference_depth``) and
``ratio_effect`` (per doubling of the FFN ratio) of the reported form; ``best_depth`` with a Fieller interval whose open
ends are None; ``spearman_depth``, ``spearman_width``, ``spearman_ffn_ratio`` with the score (better is higher), as in
the paper. ``best_depth`` carries no claim: the paper's knee of 20 layers weighs score against speed at 1B parameters.

Variants: the same contrast at equal ``non_embedding_parameters`` and ``train_flops``; ``knee`` of the front of cost
against decode speed; ``growth`` of the best depth and ``ratio_growth`` of the best width-to-depth ratio over budgets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from studies.formulas.depth_width.architectures import AMOUNTS, Architectures, build_architectures
from studies.formulas.depth_width.budgets import Budget, find_budget, principal_budget
from studies.formulas.depth_width.contrast import Contrast, fitted, without_fit
from studies.formulas.depth_width.growth import growth_laws, is_bounded
from studies.formulas.depth_width.knee import knee_law
from studies.formulas.formula import Formula
from studies.formulas.observations import FitContext, Observation


def fit_depth_width(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Fit the law and its variants.

    Returns:
        The principal formula, then the variants that apply; none where depth did not vary.
    """
    if len({row.number_of("depth") for row in observations} - {None}) < 2:
        return ()
    found = build_architectures(observations, context)
    budget = principal_budget(found.rows)
    contrast = Contrast(observations, context, _within(found, budget), budget, "")
    analysis = contrast.analysis()
    if isinstance(analysis, tuple):
        principal, knee = without_fit(contrast, *analysis), tuple[Formula, ...]()
    else:
        principal, knee = fitted(contrast, analysis), tuple(knee_law(contrast, analysis))
    repeated = _repeated(observations, context, found, budget, bool(principal.expression))
    growth = [
        law
        for law in growth_laws(observations, context, found)
        if principal.expression or is_bounded(law)  # else the principal says what is missing
    ]
    return (principal, *repeated, *knee, *growth)


def _within(found: Architectures, budget: Budget) -> Architectures:
    """The architectures that report what a budget is about."""
    left_out = found.left_out + len(found.rows) - len(budget.rows)
    return replace(found, rows=budget.rows, left_out=left_out)


def _repeated(
    observations: Sequence[Observation], context: FitContext, found: Architectures, principal: Budget, determined: bool
) -> Iterator[Formula]:
    """The contrast at equal amounts of what the principal law does not hold equal.

    One that is not determined says what is missing beside a principal law that is; else the principal says it.
    """
    for convention in AMOUNTS[1:]:
        reported = any(convention in row.sizes for row in found.rows)
        budget = find_budget(found.rows, convention)
        if reported and convention != principal.convention and (determined or budget.problem is None):
            problem = budget.problem and f"the budget is not equal: {budget.problem}"
            own = replace(budget, problem=problem)
            contrast = Contrast(observations, context, _within(found, own), own, convention)
            analysis = contrast.analysis()
            yield without_fit(contrast, *analysis) if isinstance(analysis, tuple) else fitted(contrast, analysis)

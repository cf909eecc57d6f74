"""The tiny formula of TinyNet (Han et al. 2020, arXiv 2010.14819): how each dimension shrinks with the budget.

    dimension = level · (budget / reference)^exponent

along the Pareto front of loss and budget, for depth, width, vocabulary and FFN ratio as far as the study varies them.
The front is followed as the ridge of a fitted surface (``surface``); TinyNet's own regression on the networks near the
front (``front``) stands beside it in the evidence. One formula a dimension: the first that varies is the principal
one, the others are variants of its name; where runs report their FLOPs, the same by training FLOPs a token
(``…_by_flops``).

``width_less_depth``, the exponent of the width less that of the depth, carries TinyNet's claim that depth matters more
than width in small networks: above 0, the width shrinks faster. Its networks classify images, so that our data never
reach its domain.
"""

from collections.abc import Sequence
from typing import Any, Final

from studies.formulas.evaluation import curve_points
from studies.formulas.fitting.budget import EQUAL_BUDGET
from studies.formulas.fitting.fit import Interval, root_mean_square
from studies.formulas.formula import Coefficient, Formula, PaperClaim, Verdict, latex_number
from studies.formulas.observations import FitContext, Observation
from studies.formulas.shrink.front import near_front
from studies.formulas.shrink.needs import Needs, is_open, needs
from studies.formulas.shrink.networks import BUDGETS, FLOPS, Networks, budget_of, build_networks
from studies.formulas.shrink.report import Fitted, domain, evidence, interval_coefficient, points, power_of_two
from studies.formulas.shrink.rivals import rival_errors
from studies.formulas.shrink.surface import Shape, find_ridge, interval
from studies.formulas.verdicts import LEVEL, Ground, constant, further_trials, position

KIND: Final = "shrink"
LOSS_METRICS = frozenset({"validation_loss", "bits_per_byte"})
CLAIM = PaperClaim(formula="TinyNet", region=(0.0, None), test="order")
"""Width shrinks faster than depth (arXiv 2010.14819, section 3.2: "resolution and depth are more important than
width for tiny networks")."""
UNITS = {"depth": "layers", "width": "channels", "vocabulary_size": "tokens", "ffn_ratio": "1"}
SYMBOLS = {"depth": "L", "width": "d", "vocabulary_size": "V", "ffn_ratio": r"\rho"}
CURVE_POINTS = 25


def fit_shrink(observations: Sequence[Observation], context: FitContext) -> Sequence[Formula]:
    """Fit the law.

    Returns:
        Empty where the objective is no loss, or budget or shape does not vary: the law does not apply.
    """
    if context.metric not in LOSS_METRICS or context.direction != "minimize":
        return ()
    formulas: list[Formula] = []
    reported = [name for name in BUDGETS if any(budget_of(row, name) for row in observations)]
    if not reported or not _varies(observations, reported[0]):
        return ()
    for name in (reported[0], *(budget for budget in reported[1:] if budget == FLOPS)):
        formulas += _by_budget(observations, context, name, name != reported[0])
    return formulas


def _varies(observations: Sequence[Observation], name: str) -> bool:
    budgets = [budget for row in observations if (budget := budget_of(row, name) or 0) > 0]
    return len(budgets) > 0 and max(budgets) > EQUAL_BUDGET * min(budgets)


def _by_budget(
    observations: Sequence[Observation], context: FitContext, budget: str, further: bool
) -> Sequence[Formula]:
    networks = build_networks(observations, context, budget)
    if not set(networks.names) - {"width"}:
        return ()
    shape = Shape.of(networks.budgets, networks.dimensions, networks.covariates, networks.costs)
    comparable = context.metric == "bits_per_byte" or "vocabulary_size" not in networks.names
    missing = needs(observations, networks, shape, comparable)
    suffix = "_by_flops" if further else ""
    ridge = None if missing.fatal else find_ridge(shape, LEVEL)
    if ridge is None or not ridge.bowl:
        lacking = (*missing.fatal, *missing.obstacles) if ridge is None else (_no_bowl(networks), *missing.obstacles)
        return () if further else (_without_fit(context, networks, lacking, missing.supply),)
    fitted = Fitted(networks, shape, ridge, near_front(networks.budgets, networks.costs), rival_errors(shape))
    return [
        _formula(context, fitted, index, "" if not (index or further) else f"{name}{suffix}", missing)
        for index, name in enumerate(networks.names)
    ]


def _without_fit(
    context: FitContext, networks: Networks, reasons: tuple[str, ...], supply: dict[str, Any] | None
) -> Formula:
    """The law with its claim, no numbers, and what is missing."""
    verdict = Ground(context, False).verdict("across")
    unknown = Coefficient(estimate=None, low=None, high=None, level=LEVEL, paper=CLAIM, verdict=verdict)
    budget, name = networks.budget_name, networks.names[0]
    return Formula(
        id=context.formula_id(KIND),
        revision=context.revision,
        kind=KIND,
        form="power",
        statement=f"{name} by {budget} along the front, not determined",
        latex=rf"{SYMBOLS[name]} = {SYMBOLS[name]}_{{0}}\,c^{{\alpha}}",
        studies=context.studies,
        size_convention=budget,
        observations=networks.runs,
        domain=domain(networks, 0),
        held_out_error=None,
        held_out_unit=context.metric,
        coefficients={"width_less_depth": unknown},
        verdict=verdict,
        reasons=reasons,
        supply=supply,
        evidence={"points": points(context, networks, 0, None), "curve": [], "residuals": [], "axes": [budget, name]},
    )


def _formula(context: FitContext, fitted: Fitted, index: int, variant: str, missing: Needs) -> Formula:
    networks, shape, ridge = fitted.networks, fitted.shape, fitted.ridge
    budget, name = networks.budget_name, networks.names[index]
    reference = 2.0**shape.budget_centre
    centre = float(shape.centres[index])
    exponent = interval(float(ridge.exponents[index]), ridge.draws[:, 1, index], ridge.bowls, LEVEL)
    level = interval(float(ridge.levels[index]), ridge.draws[:, 0, index], ridge.bowls, LEVEL)
    open_ends = (_no_bowl(networks),) if is_open((exponent.low, exponent.high)) else ()
    obstacles = (*missing.obstacles, *open_ends)
    order, verdict = _order(context, fitted, obstacles)
    best = power_of_two(level, centre)
    coefficients = {
        "level": interval_coefficient(best, UNITS[name]),
        "exponent": interval_coefficient(exponent),
        f"reference_{budget}": constant(reference, "parameters" if budget != FLOPS else "FLOPs a token"),
    }
    if order is not None and not index:
        claimed = {"paper": CLAIM, "verdict": verdict}
        coefficients["width_less_depth"] = interval_coefficient(order).model_copy(update=claimed)
    formula = Formula(
        id=context.formula_id(KIND, variant),
        revision=context.revision,
        kind=KIND,
        variant=variant,
        form="power",
        expression=f"level * ({budget} / reference_{budget}) ** exponent",
        statement=f"best {name} = {best.estimate:.4g}·({budget}/{reference:.4g})^{exponent.estimate:.2f}",
        latex=_latex(name, budget, best.estimate, reference, exponent.estimate),
        studies=context.studies,
        size_convention=budget,
        observations=networks.runs,
        domain=domain(networks, index),
        held_out_error=root_mean_square(ridge.left_out),
        held_out_unit=context.metric,
        coefficients=coefficients,
        verdict=verdict,
        reasons=(*(obstacles or _decision(order, networks)), *_remarks(networks)),
        supply=missing.supply if verdict == "undetermined" else None,
        evidence=evidence(context, fitted, index, exponent),
    )
    curve = curve_points(formula, budget, name, CURVE_POINTS)
    return formula.model_copy(update={"evidence": {**formula.evidence, "curve": curve}})


def _latex(name: str, budget: str, best: float, reference: float, exponent: float) -> str:
    ratio = rf"\left(\frac{{{'C' if budget == FLOPS else 'N'}}}{{{latex_number(reference)}}}\right)"
    return rf"{SYMBOLS[name]} = {latex_number(best)}{ratio}^{{{exponent:.2f}}}"


def _no_bowl(networks: Networks) -> str:
    return (
        f"the loss is not surely lowest inside what was tried of {', '.join(networks.names)} at a budget: try wider "
        f"ranges of them, about {len(networks.budgets)} further networks"
    )


def _order(context: FitContext, fitted: Fitted, obstacles: tuple[str, ...]) -> tuple[Interval | None, Verdict]:
    """The exponent of the width less that of the depth, and the verdict on TinyNet's claim."""
    ground = Ground(context, in_paper_domain=False)
    names, ridge = fitted.networks.names, fitted.ridge
    if "width" not in names or "depth" not in names:
        return None, ground.verdict("across")
    width, depth = names.index("width"), names.index("depth")
    estimate = float(ridge.exponents[width] - ridge.exponents[depth])
    found = interval(estimate, ridge.draws[:, 1, width] - ridge.draws[:, 1, depth], ridge.bowls, LEVEL)
    return found, ground.verdict("across" if obstacles else position(found, CLAIM.region))


def _decision(order: Interval | None, networks: Networks) -> tuple[str, ...]:
    if order is None:
        return ("depth and width do not both vary, so that which of them shrinks faster cannot be told",)
    said = (
        f"the exponent of the width is that of the depth plus {order.estimate:.2f} "
        f"({order.low:.2f} to {order.high:.2f})"
    )
    if position(order, CLAIM.region) != "across":
        return (said,)
    return (said, further_trials(order, CLAIM.region, networks.runs))


def _remarks(networks: Networks) -> tuple[str, ...]:
    remarks = {
        f"{networks.at_edge} networks whose best rate lies beyond the tried ones were left out": networks.at_edge,
    }
    return tuple(remark for remark, applies in remarks.items() if applies)

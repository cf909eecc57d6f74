"""How the best depth, and the best width-to-depth ratio, grow with the number of parameters: a power law in N.

    best depth = c · (N / reference)^g          best width / depth = c · (N / reference)^g

Over the budgets of one study, or of several together (``optima``, ``power_law``). At fixed shapes of block N grows as
depth · width², so that a ratio which stays the same makes the depth grow with the exponent 1/3.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studies.formulas.depth_width import supply
from studies.formulas.depth_width.architectures import Architecture, Architectures
from studies.formulas.depth_width.claims import GROWTH_REGION, KIND, PAPER_DOMAIN
from studies.formulas.depth_width.judgement import obstacles, remarks
from studies.formulas.depth_width.optima import BudgetOptimum, Optima, Value, find_optima, group_budgets
from studies.formulas.depth_width.power_law import PowerLaw, fit_power_law
from studies.formulas.evaluation import curve_points
from studies.formulas.fitting.budget import CONVENTIONS
from studies.formulas.fitting.fit import Interval
from studies.formulas.formula import Coefficient, Formula, PaperClaim, Verdict, latex_number
from studies.formulas.observations import FitContext, Observation
from studies.formulas.verdicts import LEVEL, Ground, constant, overlaps, position

MIN_BUDGETS = 3
"""Budgets from which a power law can be contradicted (derived: two points lie on some power law)."""
CURVE_POINTS = 25


@dataclass(frozen=True, slots=True)
class _Quantity:
    """What grows."""

    variant: str
    name: str
    words: str
    symbol: str
    unit: str
    value: Value


def _ratio(row: Architecture) -> float | None:
    return row.width / row.depth if row.width else None


DEPTH = _Quantity("growth", "best_depth", "best depth", "L", "layers", lambda row: row.depth)
RATIO = _Quantity("ratio_growth", "best_width_to_depth", "best width-to-depth ratio", r"\frac{d}{L}", "1", _ratio)


@dataclass(frozen=True, slots=True)
class _Growth:
    observations: Sequence[Observation]
    context: FitContext
    found: Architectures
    convention: str
    quantity: _Quantity


def growth_laws(observations: Sequence[Observation], context: FitContext, found: Architectures) -> Iterator[Formula]:
    """Both laws of growth; none where shapes do not vary in two budgets; no ratio where widths are not known."""
    for convention in [name for name in CONVENTIONS if all(name in row.sizes for row in found.rows)][:1]:
        for quantity in (DEPTH, RATIO):
            wide, _ = group_budgets(found.rows, convention, quantity.value)
            if len(wide) > 1 and all(quantity.value(row) is not None for row in found.rows):
                yield _law(_Growth(observations, context, found, convention, quantity))


def is_bounded(law: Formula) -> bool:
    """Whether a law of growth says anything of its exponent."""
    exponent = law.coefficients["g"]
    return exponent.low is not None or exponent.high is not None


def _law(asked: _Growth) -> Formula:
    optima = find_optima(asked.found.rows, asked.convention, asked.quantity.value)
    missing = MIN_BUDGETS - len(optima.budgets)
    if missing > 0:
        return _without_fit(asked, optima, missing)
    law = fit_power_law(optima.budgets)
    return _formula(asked, optima, law) if law.located else _bounded(asked, optima, law)


def _formula(asked: _Growth, optima: Optima, law: PowerLaw) -> Formula:
    domain = _domain(asked, optima)
    verdict, reasons = _judge(asked, optima, law, Ground(asked.context, overlaps(domain, PAPER_DOMAIN)))
    quantity, size = asked.quantity, asked.convention
    rivals = {"power": _held_out(optima.budgets), "constant": _held_out(optima.budgets, slope=False)}
    formula = Formula(
        **_common(asked),
        form="power",
        expression=f"c * ({size} / reference_{size}) ** g",
        statement=_statement(asked, law),
        latex=rf"{quantity.symbol}^* = {2**law.level:.3g}"
        rf"\left(\frac{{N}}{{{latex_number(law.reference)}}}\right)^{{{law.exponent:.2f}}}",
        observations=sum(budget.runs for budget in optima.budgets),
        domain=domain,
        held_out_error=rivals["power"],
        held_out_unit=f"log {quantity.name}",
        coefficients=_coefficients(asked, law, verdict),
        verdict=verdict,
        reasons=(*reasons, *_remarks(optima), *remarks(asked.found)),
        supply=_supply(asked, optima, law, verdict),
        evidence={**_evidence(asked, optima), **_law_evidence(optima, law), "rivals": rivals},
    )
    curve = curve_points(formula, size, quantity.name, CURVE_POINTS)
    return formula.model_copy(update={"evidence": {**formula.evidence, "curve": curve}})


def _bounded(asked: _Growth, optima: Optima, law: PowerLaw) -> Formula:
    """The law where the budgets leave the exponent open to one side or both: its bound, and no number to evaluate."""
    domain = _domain(asked, optima)
    verdict, reasons = _judge(asked, optima, law, Ground(asked.context, overlaps(domain, PAPER_DOMAIN)))
    low, high = law.exponent_ends
    bound = Coefficient(estimate=None, low=low, high=high, level=LEVEL, paper=_claim(), verdict=verdict)
    ends = {"at least": low, "at most": high}
    words = " and ".join(f"{word} {end:.2f}" for word, end in ends.items() if end is not None)
    return Formula(
        **_common(asked),
        form="power",
        statement=f"the {asked.quantity.words} goes as N^g, {f'g {words}' if words else 'g not bounded'}",
        latex=rf"{asked.quantity.symbol}^* = c\,N^g",
        observations=sum(budget.runs for budget in optima.budgets),
        domain=domain,
        held_out_error=None,
        held_out_unit=f"log {asked.quantity.name}",
        coefficients={"g": bound},
        verdict=verdict,
        reasons=(*reasons, *_remarks(optima), *remarks(asked.found)),
        supply=_supply(asked, optima, law, verdict),
        evidence=_evidence(asked, optima) | {"curve": [], "residuals": []},
    )


def _common(asked: _Growth) -> dict[str, Any]:
    context, variant = asked.context, asked.quantity.variant
    return {
        "id": context.formula_id(KIND, variant),
        "revision": context.revision,
        "kind": KIND,
        "variant": variant,
        "studies": context.studies,
        "size_convention": asked.convention,
    }


def _domain(asked: _Growth, optima: Optima) -> dict[str, tuple[float, float]]:
    sizes = [budget.size for budget in optima.budgets]
    return dict(asked.found.domain) | {asked.convention: (min(sizes), max(sizes))}


def _claim() -> PaperClaim:
    return PaperClaim(formula="F2", region=GROWTH_REGION, test="sign")


def _coefficients(asked: _Growth, law: PowerLaw, verdict: Verdict) -> dict[str, Coefficient]:
    level = [None if end is None else 2**end for end in law.level_ends]
    low, high = law.exponent_ends
    claim = _claim()
    return {
        "g": Coefficient(estimate=law.exponent, low=low, high=high, level=LEVEL, paper=claim, verdict=verdict),
        "c": Coefficient(estimate=2**law.level, low=level[0], high=level[1], level=LEVEL, unit=asked.quantity.unit),
        f"reference_{asked.convention}": constant(law.reference, "parameters"),
    }


def _statement(asked: _Growth, law: PowerLaw) -> str:
    low, high = ("open" if end is None else f"{end:.2f}" for end in law.exponent_ends)
    unit = "" if asked.quantity.unit == "1" else f" {asked.quantity.unit}"
    return (
        f"the {asked.quantity.words} goes as N^{law.exponent:.2f} ({low} to {high}): "
        f"{2**law.level:.3g}{unit} at {law.reference:.3g} parameters"
    )


def _judge(asked: _Growth, optima: Optima, law: PowerLaw, ground: Ground) -> tuple[Verdict, tuple[str, ...]]:
    if reasons := obstacles(asked.found):
        return ground.verdict("across"), reasons
    low, high = (
        limit if end is None else end for end, limit in zip(law.exponent_ends, (-math.inf, math.inf), strict=True)
    )
    where = position(Interval(law.exponent, low, high), GROWTH_REGION)
    said = f"over {len(optima.budgets)} budgets g lies between {_end(low)} and {_end(high)}"
    if where != "across":
        return ground.verdict(where), (said,)
    return ground.verdict(where), (said, _what_decides(asked, optima))


def _end(end: float) -> str:
    return f"{end:.2f}" if math.isfinite(end) else "an open end"


def _what_decides(asked: _Growth, optima: Optima) -> str:
    more = _trials_a_budget(asked, optima)
    bounds = [budget for budget in optima.budgets if budget.low is None or budget.high is None]
    if bounds:
        named = " and ".join(f"{budget.size:.3g}" for budget in bounds)
        return (
            f"the optimum is only bounded at {named} parameters: add depths beyond it there "
            f"(about {len(bounds) * more // 2 + 1} trials), or another budget (about {more})"
        )
    return f"a budget {supply.BUDGET_FACTOR:.3g} times the largest would narrow it (about {more} further trials)"


def _trials_a_budget(asked: _Growth, optima: Optima) -> int:
    return max(round(len(asked.observations) / max(len(optima.budgets), 1)), 12)


def _remarks(optima: Optima) -> tuple[str, ...]:
    bounds = sum(budget.low is None or budget.high is None for budget in optima.budgets)
    said = {
        f"{bounds} of {len(optima.budgets)} budgets only bound their optimum, and count as bounds": bounds,
        f"budgets of fewer than three shapes were left out ({_sizes(optima.left_out)} parameters)": optima.left_out,
    }
    return tuple(remark for remark, applies in said.items() if applies)


def _sizes(sizes: Sequence[float]) -> str:
    return ", ".join(f"{size:.3g}" for size in sizes)


def _supply(asked: _Growth, optima: Optima, law: PowerLaw, verdict: Verdict) -> supply.Patch | None:
    """Rates at the censored edge; depths beyond bounded optima; else a larger budget."""
    if (patch := supply.rates(asked.found)) is not None:
        return patch
    if verdict != "undetermined":
        return None
    trials = _trials_a_budget(asked, optima)
    low, high = (any(getattr(budget, end) is None for budget in optima.budgets) for end in ("low", "high"))
    sizes = [budget.size for budget in optima.budgets]
    if law.located or not (low or high):
        return supply.larger_budget(sizes, asked.convention, trials)
    deeper = asked.quantity is DEPTH
    return supply.depths(asked.found.rows, low if deeper else high, high if deeper else low, trials)


def _held_out(budgets: Sequence[BudgetOptimum], slope: bool = True) -> float | None:
    """Root mean square error in log value of optima predicted from the other budgets; of those that are located."""
    errors = [
        (_predicted([*budgets[:place], *budgets[place + 1 :]], budget.size, slope) - budget.estimate) * math.log(2)
        for place, budget in enumerate(budgets)
        if budget.estimate is not None
    ]
    return math.sqrt(sum(error**2 for error in errors) / len(errors)) if errors else None


def _predicted(budgets: Sequence[BudgetOptimum], size: float, slope: bool) -> float:
    return (fit_power_law(budgets) if slope else fit_power_law(budgets, steepest=0.0)).at(size)


def _evidence(asked: _Growth, optima: Optima) -> dict[str, Any]:
    return {
        "points": [_point(asked, budget) for budget in optima.budgets],
        "axes": [asked.convention, asked.quantity.name],
        "jitter": optima.jitter,
        "profiled": asked.found.profiled,
    }


def _law_evidence(optima: Optima, law: PowerLaw) -> dict[str, Any]:
    """Residuals of the optima that are located, in log value, and the covariance of log c and g."""
    located = [budget for budget in optima.budgets if budget.estimate is not None]
    deviation = math.sqrt(max(float(law.covariance[1, 1]), 1e-30))
    low, high = (end or 0.0 for end in law.exponent_ends)
    return {
        "residuals": [math.log(2) * ((budget.estimate or 0.0) - law.at(budget.size)) for budget in located],
        "covariance": {
            "names": ["c", "g"],
            "matrix": law.covariance.tolist(),
            "multiplier": (high - low) / 2 / deviation,
            "logs": ["c"],
            "logarithmic": True,
        },
    }


def _point(asked: _Growth, budget: BudgetOptimum) -> dict[str, Any]:
    """A budget's optimum; where an end is open, what was tried ends there, and ``edge`` says on which side it lies."""
    tried = 2 ** float(budget.positions[0]), 2 ** float(budget.positions[-1])
    low = tried[0] if budget.low is None else 2**budget.low
    high = tried[1] if budget.high is None else 2**budget.high
    edge = {(True, False): "low", (False, True): "high", (True, True): "both"}
    best = 2**budget.estimate if budget.estimate is not None else (high if budget.high is None else low)
    return {
        asked.convention: budget.size,
        asked.quantity.name: best,
        "low": low,
        "high": high,
        "edge": edge.get((budget.low is None, budget.high is None), "none"),
        "located": budget.estimate is not None,
        "tried": list(tried),
        "architectures": budget.rows,
        "runs": budget.runs,
    }


def _without_fit(asked: _Growth, optima: Optima, missing: int) -> Formula:
    verdict = Ground(asked.context, False).verdict("across")
    sizes = [row.sizes[asked.convention] for row in asked.found.rows]
    trials = _trials_a_budget(asked, optima)
    reason = (
        f"{len(optima.budgets)} budgets with three shapes or more, and residuals to judge them by, cannot show how the "
        f"{asked.quantity.words} grows: add {missing} (about {missing * trials} trials), e.g. as studies of their own "
        "that are fitted together"
    )
    unknown = Coefficient(estimate=None, low=None, high=None, level=LEVEL, paper=_claim(), verdict=verdict)
    return Formula(
        **_common(asked),
        form="power",
        statement=f"growth of the {asked.quantity.words} with N, not determined",
        latex=rf"{asked.quantity.symbol}^* = c\,N^g",
        observations=len(asked.observations),
        domain=dict(asked.found.domain),
        held_out_error=None,
        held_out_unit=f"log {asked.quantity.name}",
        coefficients={"g": unknown},
        verdict=verdict,
        reasons=(reason, *_remarks(optima)),
        supply=supply.larger_budget(sizes, asked.convention, trials),
        evidence={
            "points": [_point(asked, budget) for budget in optima.budgets],
            "curve": [],
            "residuals": [],
            "axes": [asked.convention, asked.quantity.name],
        },
    )

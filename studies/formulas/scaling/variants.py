"""The best size and the best length for a budget of compute, as formulas of their own."""

import math
from collections.abc import Sequence

import numpy as np

from studies.formulas.evaluation import bounded_exp, curve_points
from studies.formulas.fitting.fit import Interval
from studies.formulas.formula import Formula, latex_number
from studies.formulas.observations import FitContext
from studies.formulas.scaling.analysis import Analysis
from studies.formulas.scaling.optimum import exponents, log_best
from studies.formulas.verdicts import coefficient, constant

CURVE_POINTS = 25
VARIANTS = ("optimal_size", "optimal_length")


def optimal_formulas(principal: Formula, analysis: Analysis, context: FitContext) -> Sequence[Formula]:
    """Both, from the law of N and D that they follow from."""
    return [_optimal(principal, analysis, context, index) for index in range(len(VARIANTS))]


def _optimal(principal: Formula, analysis: Analysis, context: FitContext, index: int) -> Formula:
    table, law = analysis.table, analysis.law
    variant, name = VARIANTS[index], (table.size_name, table.length_name)[index]
    symbol, letter = (("N", "a"), ("D", "b"))[index]
    largest = float(table.compute.max())
    product = math.log(largest / law.compute_factor)
    own = law.jacobian(lambda p: np.array([log_best(p, product)[index], exponents(p)[index]]))
    level = law.interval(lambda p: float(log_best(p, product)[index]))
    power = law.interval(lambda p: float(exponents(p)[index]))
    claimed = principal.coefficients["size_exponent"]
    best, ends = bounded_exp(level.estimate), (bounded_exp(level.low), bounded_exp(level.high))
    unit = "parameters" if index == 0 else table.length_name.removeprefix("train_")
    formula = principal.model_copy(
        update={
            "id": context.formula_id(principal.kind, variant),
            "variant": variant,
            "form": "power",
            "expression": f"{symbol} * (compute / reference_compute) ** {letter}",
            "statement": f"best {name} = {best:.3g}·(C/{largest:.3g})^{power.estimate:.3f}, C = "
            f"{law.compute_factor:.3g}·N·D",
            "latex": rf"{symbol} = {latex_number(best)}\left(\frac{{C}}{{{latex_number(largest)}}}\right)"
            rf"^{{{power.estimate:.3f}}}",
            "domain": {"compute": principal.domain["compute"]},
            "held_out_error": None,
            "held_out_unit": unit,
            "coefficients": {
                symbol: coefficient(Interval(best, *ends), unit),
                letter: coefficient(power, "1", claimed.paper, claimed.verdict),
                "reference_compute": constant(largest, "FLOPs"),
            },
            "evidence": {
                "points": [],
                "curve": [],
                "residuals": [],
                "axes": ["compute", name],
                "covariance": {
                    "names": [symbol, letter],
                    "matrix": (own @ law.covariance @ own.T).tolist(),
                    "multiplier": law.multiplier,
                    "logs": [symbol],
                    "logarithmic": True,
                },
            },
        }
    )
    curve = curve_points(formula, "compute", name, CURVE_POINTS)
    return formula.model_copy(update={"evidence": {**formula.evidence, "curve": curve}})

"""A formula evaluated from its stored form alone: estimate, interval, and what was extrapolated."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidInput
from studies.formulas.formula import Formula

Floats = NDArray[np.float64]
LARGEST_LOG = 230.0
"""Where exponentials end: e^230 is 1e100 (assumed; a double ends at e^709)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The law's value at one point, at the mean of what the point does not name."""

    estimate: float
    """A learning rate, or the objective at the best rate."""
    low: float
    high: float
    extrapolated: tuple[str, ...]
    """Variables outside the range of the data."""


@dataclass(frozen=True, slots=True)
class _Form:
    """A form that is linear in its coefficients."""

    terms: tuple[str, ...]
    """Coefficients that multiply the basis; absent ones are left out."""
    basis: Callable[[Mapping[str, float], Mapping[str, float]], Mapping[str, float]]
    """From variables and constants to the term of each coefficient."""
    required: str
    logarithmic: bool
    """Whether the sum is the log of the value, and the first coefficient is stored as its exponential."""


def _rate_basis(variables: Mapping[str, float], constants: Mapping[str, float]) -> dict[str, float]:
    x = math.log(variables["batch_tokens"] / constants["reference_batch_tokens"])
    knot = constants.get("knot_batch_tokens", math.inf)
    beyond = max(math.log(variables["batch_tokens"]) - math.log(knot), 0.0)
    return {"c": 1.0, "r": x, "r_change": beyond}


def _depth_basis(variables: Mapping[str, float], constants: Mapping[str, float]) -> dict[str, float]:
    u = math.log2(variables["depth"] / constants["reference_depth"])
    reference = constants.get("reference_ffn_ratio", 1.0)
    ratio = math.log2(variables.get("ffn_ratio", reference) / reference)
    return {"level": 1.0, "depth_slope": u, "depth_curvature": u * u, "ratio_effect": ratio}


_DEPTH_TERMS = ("level", "depth_slope", "depth_curvature", "ratio_effect")
FORMS: Mapping[str, _Form] = {
    "power": _Form(("c", "r"), _rate_basis, "batch_tokens", True),
    "broken_power": _Form(("c", "r", "r_change"), _rate_basis, "batch_tokens", True),
    "linear_log_depth": _Form(("level", "depth_slope", "ratio_effect"), _depth_basis, "depth", False),
    "quadratic_log_depth": _Form(_DEPTH_TERMS, _depth_basis, "depth", False),
}


def evaluate(formula: Formula, variables: Mapping[str, float]) -> Evaluation:
    """Evaluate a formula at ``variables``, e.g. ``{"batch_tokens": 65536}``.

    Raises:
        InvalidInput: the formula has no fitted numbers, or a variable that it needs is missing or not positive.
    """
    form = FORMS.get(formula.form)
    matrix = formula.evidence.get("covariance")
    if form is None or matrix is None:
        raise InvalidInput("formula", f"{formula.kind} has no fitted numbers", "run the trials that its reasons name")
    for name in {form.required, *variables}:
        if not variables.get(name, 0) > 0:
            raise InvalidInput(name, f"{variables.get(name)} cannot be evaluated", f"give a positive {name}")
    constants = {name: value.estimate for name, value in formula.coefficients.items() if value.estimate is not None}
    basis = form.basis(variables, constants)
    terms = [term for term in form.terms if term in constants]
    row = np.array([basis[term] for term in terms])
    values = np.array([constants[term] for term in terms])
    if form.logarithmic:
        values[0] = math.log(values[0])
    centre = float(row @ values)
    half = float(matrix["multiplier"]) * math.sqrt(max(float(row @ np.array(matrix["matrix"]) @ row), 0.0))
    ends = [centre, centre - half, centre + half]
    estimate, low, high = [bounded_exp(end) for end in ends] if form.logarithmic else ends
    return Evaluation(estimate, low, high, _outside(formula, variables))


def bounded_exp(log: float) -> float:
    """exp, at most ``e^±LARGEST_LOG``: data without a bowl have intervals over thousands of powers of e."""
    return math.exp(min(max(log, -LARGEST_LOG), LARGEST_LOG))


def _outside(formula: Formula, variables: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(
        name
        for name, (low, high) in sorted(formula.domain.items())
        if name in variables and not low <= variables[name] <= high
    )


def curve_points(formula: Formula, variable: str, value: str, points: int) -> list[dict[str, float]]:
    """The law along the domain of ``variable``, evenly in logs: ``variable``, ``value``, ``low``, ``high``."""
    start, end = formula.domain[variable]
    grid = np.geomspace(start, end, points)
    curve = [(float(x), evaluate(formula, {variable: min(max(float(x), start), end)})) for x in grid]
    return [{variable: x, value: at.estimate, "low": at.low, "high": at.high} for x, at in curve]

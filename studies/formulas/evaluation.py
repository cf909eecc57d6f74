"""A formula evaluated from its stored form alone: estimate, interval, and what was extrapolated."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidInput
from studies.formulas.expression import names_of, value_of
from studies.formulas.formula import Formula

Floats = NDArray[np.float64]
STEP = 1e-5
"""Relative step of a derivative by central differences (derived: the cube root of a double's precision, rounded up)."""
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


def evaluate(formula: Formula, variables: Mapping[str, float]) -> Evaluation:
    """Evaluate a formula at ``variables``, e.g. ``{"batch_tokens": 65536}``.

    The interval is by the delta method. ``evidence.covariance`` holds the ``matrix`` of the coefficients in ``names``
    (of the logarithm of those in ``logs``), the ``multiplier`` of the standard deviation, and whether the interval is
    symmetric in the logarithm of the value (``logarithmic``).

    Raises:
        InvalidInput: the formula has no fitted numbers, or a variable that it needs is missing or not positive.
    """
    covariance = formula.evidence.get("covariance")
    if not formula.expression or covariance is None:
        raise InvalidInput("formula", f"{formula.kind} has no fitted numbers", "run the trials that its reasons name")
    constants = {name: value.estimate for name, value in formula.coefficients.items() if value.estimate is not None}
    references = _references(constants)
    numbers = {**references, **constants, **variables}
    for name in sorted({*names_of(formula.expression), *variables} - constants.keys()):
        _check(name, numbers.get(name), indicator=references.get(name) == 0)
    logarithmic = bool(covariance["logarithmic"])

    def value(numbers: Mapping[str, float]) -> float:
        return _value(formula.expression, numbers, logarithmic)

    centre = value(numbers)
    slopes = _gradient(value, numbers, covariance["names"], frozenset(covariance["logs"]))
    variance = float(slopes @ np.array(covariance["matrix"]) @ slopes)
    half = float(covariance["multiplier"]) * math.sqrt(max(variance, 0.0))
    ends = [centre, centre - half, centre + half]
    estimate, low, high = [bounded_exp(end) for end in ends] if logarithmic else ends
    return Evaluation(estimate, low, high, _outside(formula, variables))


def _check(name: str, value: float | None, indicator: bool) -> None:
    """A variable is positive; an indicator, whose reference is 0, is 0 or 1."""
    if indicator and value not in (0, 1):
        raise InvalidInput(name, f"{value} cannot be evaluated", "give 0 or 1")
    if not indicator and not (value is not None and value > 0):
        raise InvalidInput(name, f"{value} cannot be evaluated", f"give a positive {name}")


def _references(constants: Mapping[str, float]) -> dict[str, float]:
    """Covariates at the values about which the law was fitted."""
    prefix = "reference_"
    return {name.removeprefix(prefix): value for name, value in constants.items() if name.startswith(prefix)}


def _value(expression: str, numbers: Mapping[str, float], logarithmic: bool) -> float:
    """The value, or its logarithm, within ±``LARGEST_LOG``."""
    try:
        value = value_of(expression, numbers)
    except OverflowError:
        value = math.inf
    if not logarithmic:
        return value
    return min(max(math.log(value), -LARGEST_LOG), LARGEST_LOG) if value > 0 else -LARGEST_LOG


def _gradient(
    value: Callable[[Mapping[str, float]], float],
    numbers: Mapping[str, float],
    names: Sequence[str],
    logs: frozenset[str],
) -> Floats:
    """Derivatives by coefficients, or by their logarithms."""

    def moved(name: str, by: float) -> float:
        return value({**numbers, name: numbers[name] * math.exp(by) if name in logs else numbers[name] + by})

    steps = [STEP if name in logs else STEP * max(abs(numbers[name]), 1.0) for name in names]
    return np.array(
        [(moved(name, step) - moved(name, -step)) / (2 * step) for name, step in zip(names, steps, strict=True)]
    )


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

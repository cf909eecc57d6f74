"""How a shrink law is written down: its coefficients, its points and the rest of its evidence."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.formulas.fitting.fit import Interval
from studies.formulas.formula import Coefficient
from studies.formulas.observations import FitContext
from studies.formulas.shrink.front import front_exponents
from studies.formulas.shrink.networks import Networks
from studies.formulas.shrink.surface import Floats, Ridge, Shape
from studies.formulas.verdicts import LEVEL

WINSOR = 0.01
"""Share of draws beyond which they are drawn in, on each side, before their covariance is taken (assumed: ratios have
tails without a variance)."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What one budget's laws are read from."""

    networks: Networks
    shape: Shape
    ridge: Ridge
    kept: NDArray[np.bool_]
    """Networks near the front."""
    rivals: dict[str, float]


def domain(networks: Networks, index: int) -> dict[str, tuple[float, float]]:
    """Ranges of budget and dimension."""
    columns = {networks.budget_name: networks.budgets, networks.names[index]: networks.dimensions[:, index]}
    return {name: (float(values.min()), float(values.max())) for name, values in columns.items() if len(values)}


def interval_coefficient(found: Interval, unit: str = "1") -> Coefficient:
    """An interval as it is stored; infinite ends are open."""
    low, high = (end if math.isfinite(end) else None for end in (found.low, found.high))
    return Coefficient(estimate=found.estimate, low=low, high=high, level=LEVEL, unit=unit)


def power_of_two(found: Interval, centre: float) -> Interval:
    """From log2 about a centre to the number."""
    ends = (
        2.0 ** min(max(end + centre, -300.0), 300.0) if math.isfinite(end) else end for end in (found.low, found.high)
    )
    return Interval(2.0 ** min(max(found.estimate + centre, -300.0), 300.0), *ends)


def points(context: FitContext, networks: Networks, index: int, kept: NDArray[np.bool_] | None) -> list[dict[str, Any]]:
    """The networks; ``used`` are those near the front."""
    near = np.ones(len(networks.costs), dtype=np.bool_) if kept is None else kept
    rows = zip(networks.budgets, networks.dimensions[:, index], networks.costs, near, strict=True)
    return [
        {
            networks.budget_name: float(budget),
            networks.names[index]: float(dimension),
            context.metric: float(cost),
            "used": bool(used),
        }
        for budget, dimension, cost, used in rows
    ]


def evidence(context: FitContext, fitted: Fitted, index: int, exponent: Interval) -> dict[str, Any]:
    """Everything but the curve and what ``Formula`` has fields for."""
    networks, shape, ridge = fitted.networks, fitted.shape, fitted.ridge
    front = front_exponents(shape.budget, shape.dimensions, fitted.kept)[index]
    return {
        "points": points(context, networks, index, fitted.kept),
        "curve": [],
        "axes": [networks.budget_name, networks.names[index]],
        "residuals": ridge.residuals.tolist(),
        "covariance": _covariance(ridge, index, exponent),
        "rivals": fitted.rivals,
        "front": {
            "exponent": float(front) if math.isfinite(front) else None,
            "networks": int(fitted.kept.sum()),
        },
        "networks": len(networks.costs),
        "free_dimensions": [networks.names[place] for place in shape.free],
        "draws_with_a_minimum": float(ridge.bowls.mean()),
    }


def _covariance(ridge: Ridge, index: int, exponent: Interval) -> dict[str, Any]:
    """Of the log of the level and the exponent; their draws have no tails that a variance would survive."""
    draws = ridge.draws[ridge.bowls][:, :, index] * (math.log(2), 1.0) if ridge.bowls.any() else np.zeros((2, 2))
    ends = np.quantile(draws, [WINSOR, 1 - WINSOR], axis=0)
    matrix: Floats = np.cov(np.clip(draws, *ends).T)
    half = (exponent.high - exponent.low) / 2
    deviation = math.sqrt(max(float(matrix[1, 1]), 1e-300))
    return {
        "names": ["level", "exponent"],
        "matrix": matrix.tolist(),
        "multiplier": half / deviation if math.isfinite(half) else 2.0,
        "logs": ["level"],
        "logarithmic": True,
    }

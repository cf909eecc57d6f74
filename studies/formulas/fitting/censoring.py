"""Cells whose best rate lies beyond the tried rates: a bound instead of a value.

Dropping a cell because its own estimate hit the edge would bend the fitted line. A line is therefore fitted to values
and bounds together (Tobin 1958, by expectation and maximisation), and cells are dropped where that line comes close
to the edge, whatever they measured themselves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from studies.formulas.fitting.fit import Problem
from studies.formulas.fitting.profiles import Profile

Floats = NDArray[np.float64]
MARGIN = 1.0
"""Cells are kept where the line is this many residual standard deviations inside the tried rates (assumed)."""
ROUNDS = 25
MIN_SPREAD = 0.02
"""Smallest residual standard deviation in log rate (assumed)."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows kept, and responses in which a kept bound is replaced by its expectation."""

    kept: NDArray[np.bool_]
    response: Floats


def select(problem: Problem, profiles: list[Profile]) -> Selection:
    """Choose the cells that can be regressed without bias from the edges of the rate grid."""
    side = np.array([{"none": 0.0, "low": -1.0, "high": 1.0}[profile.edge] for profile in profiles])
    if not side.any():
        return Selection(np.ones(len(side), dtype=np.bool_), problem.response)
    dummies = np.eye(int(problem.groups.max()) + 1)[problem.groups]
    design = np.column_stack([dummies, problem.columns])
    response, spread = problem.response.copy(), 0.0
    excess = np.zeros_like(response)
    fitted = response
    for _ in range(ROUNDS):
        fitted = design @ np.linalg.lstsq(design, response, rcond=None)[0]
        freedom = max(len(response) - np.linalg.matrix_rank(design), 1)
        spread = max(float(np.sqrt((((response - fitted) ** 2).sum() + excess.sum()) / freedom)), MIN_SPREAD)
        distance = side * (problem.response - fitted) / spread
        hazard = np.exp(-0.5 * distance**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-distance))
        response = np.where(side == 0, problem.response, fitted + side * spread * hazard)
        excess = np.where(side == 0, 0.0, spread**2 * (1 + distance * hazard - hazard**2))
    low = np.array([profile.lowest for profile in profiles])
    high = np.array([profile.highest for profile in profiles])
    inside = (fitted > low + MARGIN * spread) & (fitted < high - MARGIN * spread)
    return Selection(inside, response)

"""The best size and length for a budget of compute, C = 6·N·D, as a scaling law has them.

Minimising E + A / N^alpha + B / D^beta at fixed C gives (Hoffmann et al. 2022, equation 4)

    N* = G (C/6)^a,  D* = (C/6)^b / G,  a = beta / (alpha + beta),  b = alpha / (alpha + beta),
    G = (alpha A / (beta B))^(1 / (alpha + beta)).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from studies.formulas.fitting.fit import Interval
from studies.formulas.scaling.forms import Floats

STEP = 1e-5
"""Of central differences, in parameters of size about 1 (derived: the cube root of a double's precision, rounded)."""


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted law with its uncertainty.

    Parameters are (log E, log A, alpha, log B, beta) in published units, where A and B are the terms at N = D = 1.
    """

    parameters: Floats
    covariance: Floats
    multiplier: float
    """Half-width of an interval over the standard deviation."""
    compute_factor: float
    """FLOPs over N·D."""

    def interval(self, value: Callable[[Floats], float]) -> Interval:
        """A function of the parameters with its interval, by the delta method."""
        slopes = np.array([self._slope(value, index) for index in range(len(self.parameters))])
        half = self.multiplier * math.sqrt(max(float(slopes @ self.covariance @ slopes), 0.0))
        centre = value(self.parameters)
        return Interval(centre, centre - half, centre + half)

    def _slope(self, value: Callable[[Floats], float], index: int) -> float:
        step = np.zeros(len(self.parameters))
        step[index] = STEP
        return (value(self.parameters + step) - value(self.parameters - step)) / (2 * STEP)

    def jacobian(self, values: Callable[[Floats], Floats]) -> Floats:
        """Derivatives of several values by the parameters, shape (values, parameters)."""
        steps = STEP * np.eye(len(self.parameters))
        columns = [(values(self.parameters + step) - values(self.parameters - step)) / (2 * STEP) for step in steps]
        return np.stack(columns, axis=1)


def log_loss(parameters: Floats, size: float, length: float) -> float:
    """Log of the law's loss."""
    level, first, alpha, second, beta = parameters
    return float(np.logaddexp.reduce([level, first - alpha * math.log(size), second - beta * math.log(length)]))


def exponents(parameters: Floats) -> Floats:
    """A and b, which sum to 1."""
    alpha, beta = parameters[2], parameters[4]
    shares: Floats = np.array([beta, alpha]) / (alpha + beta)
    return shares


def log_best(parameters: Floats, log_product: float) -> Floats:
    """Logs of N* and D* where log(N·D) is given."""
    _, first, alpha, second, beta = parameters
    gain = (math.log(alpha / beta) + first - second) / (alpha + beta)
    size, length = exponents(parameters) * log_product + np.array([gain, -gain])
    return np.array([size, length])

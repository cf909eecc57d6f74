"""How the recipe's difference to a rival moves with size: a straight line along log size, carried on to the target."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from studies.validation.judgement import Bounds
from studies.validation.noise import Estimate, t_quantile

MIN_SIZES = 3
"""A line through two sizes leaves nothing by which it could be wrong."""


@dataclass(frozen=True, slots=True)
class Line:
    """A weighted least-squares line; errors of the estimates are taken as known up to their degrees of freedom."""

    centre: float
    """Weighted mean of log2 size."""
    level: float
    """The difference there."""
    slope: float
    """For each doubling."""
    level_variance: float
    slope_variance: float
    degrees: float

    def slope_bounds(self, level: float) -> Bounds:
        """The slope with its two-sided interval."""
        half = t_quantile((1 + level) / 2, self.degrees) * math.sqrt(self.slope_variance)
        return Bounds(estimate=self.slope, low=self.slope - half, high=self.slope + half)

    def at(self, size: float, level: float) -> Bounds:
        """The line at a size, with the two-sided interval of a straight line."""
        distance = math.log2(size) - self.centre
        middle = self.level + self.slope * distance
        variance = self.level_variance + distance**2 * self.slope_variance
        half = t_quantile((1 + level) / 2, self.degrees) * math.sqrt(variance)
        return Bounds(estimate=middle, low=middle - half, high=middle + half)

    def grows(self, level: float) -> bool:
        """Whether the one-sided lower bound of the slope lies above 0."""
        return self.slope - t_quantile(level, self.degrees) * math.sqrt(self.slope_variance) > 0


def fit_line(sizes: Sequence[float], estimates: Sequence[Estimate]) -> Line | None:
    """The line through one rival's differences; None with fewer than ``MIN_SIZES`` sizes or without any noise."""
    if len(sizes) < MIN_SIZES or any(estimate.error <= 0 for estimate in estimates):
        return None
    weights = [estimate.error**-2 for estimate in estimates]
    total = math.fsum(weights)
    logs = [math.log2(size) for size in sizes]
    centre = math.fsum(weight * log for weight, log in zip(weights, logs, strict=True)) / total
    spread = math.fsum(weight * (log - centre) ** 2 for weight, log in zip(weights, logs, strict=True))
    means = [estimate.mean for estimate in estimates]
    level = math.fsum(weight * mean for weight, mean in zip(weights, means, strict=True)) / total
    products = (weight * (log - centre) * mean for weight, log, mean in zip(weights, logs, means, strict=True))
    slope = math.fsum(products) / spread
    return Line(centre, level, slope, 1 / total, 1 / spread, math.fsum(estimate.degrees for estimate in estimates))

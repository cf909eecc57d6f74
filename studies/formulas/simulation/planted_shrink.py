"""Planted fronts: networks of several budgets whose best shape is a known power law of the budget."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from search.events import Value
from studies.formulas.observations import Observation
from studies.records import TrialState

BLOCK = 4.0
"""Parameters of attention in a block, in squares of the width (LLaMA); the FFN adds 3 times its ratio."""


@dataclass(frozen=True, slots=True)
class ShrinkPlan:
    """A loss that is lowest at a depth and an FFN ratio which are power laws of the budget; the width follows."""

    depth_exponent: float = 0.25
    ratio_exponent: float = 0.0
    vocabulary: int = 1024
    best_depth: float = 6.0
    """At the middle budget."""
    best_ratio: float = 2.7
    strength: float = 0.03
    """Loss per squared doubling of depth away from the best (measured at 1M parameters: 0.025)."""
    ratio_strength: float = 0.02
    skew: float = 0.0
    """As of ``planted.bowl_over_depth``: how much steeper the bowl is on one side."""
    budgets: int = 5
    networks: int = 16
    """Of each budget."""
    step: float = 2.0
    """Each budget over the one before."""
    middle: float = 1e6
    depths: tuple[float, float] = (2.0, 24.0)
    off_centre: float = 0.0
    """Doublings by which the tried depths lie above or below the best ones."""
    noise: float = 0.005
    jitter: float = 0.005
    continuous: bool = False
    """Whether budgets are drawn from a continuum instead of a few levels."""

    def width_exponent(self) -> float:
        """Of the width that follows from budget, depth and ratio, between the smallest and largest budget."""
        reach = (self.budgets - 1) / 2 * math.log(self.step)
        widths = [self._width(math.exp(side * reach)) for side in (-1, 1)]
        return math.log(widths[1] / widths[0]) / (2 * reach)

    def _width(self, share: float) -> float:
        depth, ratio = self.best_depth * share**self.depth_exponent, self.best_ratio * share**self.ratio_exponent
        return solve_width(self.middle * share, depth, ratio, self.vocabulary)


def solve_width(budget: float, depth: float, ratio: float, vocabulary: int) -> float:
    """Width of a LLaMA network with a tied embedding."""
    block = depth * (BLOCK + 3 * ratio)
    return (-vocabulary + math.sqrt(vocabulary**2 + 4 * block * budget)) / (2 * block)


def plant_shrink(plan: ShrinkPlan, generator: Generator) -> list[Observation]:
    """Draw the networks of one study, each at its best learning rate."""
    rows: list[Observation] = []
    reach = (plan.budgets - 1) / 2
    for place in np.linspace(-reach, reach, plan.budgets):
        for _ in range(plan.networks):
            level = generator.uniform(-reach, reach) if plan.continuous else place
            rows.append(_network(plan, plan.step ** float(level), len(rows), generator))
    return rows


def _network(plan: ShrinkPlan, share: float, number: int, generator: Generator) -> Observation:
    low, high = (math.log2(depth) + plan.off_centre for depth in plan.depths)
    depth = max(round(2 ** generator.uniform(low, high)), 1)
    ratio = 2 ** generator.uniform(0.3, 2.3)
    budget = plan.middle * share * generator.uniform(0.98, 1.02)
    width = solve_width(budget, depth, ratio, plan.vocabulary)
    u = math.log2(depth / (plan.best_depth * share**plan.depth_exponent))
    v = math.log2(ratio / (plan.best_ratio * share**plan.ratio_exponent))
    cost = 2.0 + 0.9 * share**-0.35 + plan.strength * _bowl(u, plan.skew) + plan.ratio_strength * v * v
    cost += math.hypot(plan.noise, plan.jitter) * float(generator.standard_normal())
    parameters: dict[str, Value] = {"depth": depth, "width": round(width), "ffn_ratio": ratio}
    metrics = {"validation_loss": cost, "total_parameters": budget, "train_tokens": 2e7}
    return Observation(number, TrialState.COMPLETE, parameters, metrics, {})


def _bowl(u: float, skew: float) -> float:
    return (math.exp(skew * u) - skew * u - 1) * 2 / skew**2 if skew else u * u

"""Planted laws: observations whose truth is known, to measure whether intervals and verdicts hold.

Costs are bowls in log rate around the planted best rate, steeper towards high rates, with seed noise; best rates
jitter between cells and exponents between grids; runs far above the best rate diverge; some runs are missing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from search.events import Value
from studies.formulas.observations import Observation
from studies.records import TrialState

DIVERGENCE_DISTANCE = 2.5
"""Runs whose log rate exceeds the best by more than this fail (factor 12; assumed)."""


@dataclass(frozen=True, slots=True)
class Bowl:
    """Cost over log rate, near its minimum ``curvature`` x distance²."""

    curvature: float = 0.03
    """Cost per (log rate)² (measured: 0.027 in nine Step Law grids)."""
    asymmetry: float = 0.5
    """s in (exp(s·d) - s·d - 1)·2/s²; 0.5 makes a factor of 4 above the minimum 1.6 times as costly as below."""
    noise: float = 0.005
    """Standard deviation of a run (measured: 0.004 in Step Law, 0.005 to 0.010 bits per byte at 1M parameters)."""

    def cost(self, distance: float, generator: Generator) -> float:
        """Excess cost of one run at this distance in log rate from the minimum."""
        scaled = self.asymmetry * distance
        rise = (math.exp(scaled) - scaled - 1) * 2 / self.asymmetry**2 if self.asymmetry else distance**2
        return self.curvature * rise + self.noise * float(generator.standard_normal())


@dataclass(frozen=True, slots=True)
class RateBatchPlan:
    """A planted learning rate x batch law."""

    exponent: float = 0.5
    exponent_above: float | None = None
    """Exponent above the middle batch; None: the same."""
    grids: int = 1
    batches: Sequence[float] = tuple(2.0**power for power in range(14, 21))
    rate_at_middle: float = 0.003
    rates: Sequence[float] = tuple(0.003 * 2.0**step for step in range(-4, 5))
    bowl: Bowl = Bowl()
    jitter: float = 0.05
    """Of log lr* between cells."""
    spread: float = 0.0
    """Of the exponent between grids."""
    missing: float = 0.05
    """Share of runs that are not there."""
    columns: Mapping[str, float] = field(default_factory=dict)
    """Metrics that every run reports, e.g. ``total_parameters``."""


def plant_rate_batch(plan: RateBatchPlan, generator: Generator) -> list[Observation]:
    """Draw the observations of one study; grids differ in ``depth`` when there is more than one."""
    rows: list[Observation] = []
    middle = math.log(float(np.median(plan.batches)))
    for grid in range(plan.grids):
        slope = plan.spread * float(generator.standard_normal())
        level = math.log(plan.rate_at_middle) + 0.3 * (grid > 0) * float(generator.standard_normal())
        outer: dict[str, Value] = {"depth": 4 + grid} if plan.grids > 1 else {}
        for batch in plan.batches:
            x = math.log(batch) - middle
            above = plan.exponent if plan.exponent_above is None else plan.exponent_above
            best = level + (slope + (above if x > 0 else plan.exponent)) * x
            best += plan.jitter * float(generator.standard_normal())
            own = {**outer, "batch_tokens": int(batch)}
            rows += _runs(plan.rates, best, 2.5 + 0.01 * x**2, own, plan, generator, len(rows))
    return rows


def _runs(
    rates: Sequence[float],
    best: float,
    base: float,
    parameters: Mapping[str, Value],
    plan: "RateBatchPlan | DepthPlan",
    generator: Generator,
    first: int,
) -> list[Observation]:
    rows: list[Observation] = []
    for rate in rates:
        if generator.random() < plan.missing:
            continue
        distance = math.log(rate) - best
        failed = distance > DIVERGENCE_DISTANCE
        metrics = {} if failed else {"validation_loss": base + plan.bowl.cost(distance, generator), **plan.columns}
        state = TrialState.FAIL if failed else TrialState.COMPLETE
        rows.append(Observation(first + len(rows), state, {**parameters, "learning_rate": rate}, metrics, {}))
    return rows


def bowl_over_depth(optimum: float, strength: float, skew: float = 0.0) -> Callable[[float], float]:
    """A U in u = log2(depth): strength·(exp(skew·u) - skew·u - 1)·2/skew² around ``optimum``; a parabola for skew 0."""

    def cost(depth: float) -> float:
        u = math.log2(depth / optimum)
        return strength * ((math.exp(skew * u) - skew * u - 1) * 2 / skew**2 if skew else u * u)

    return cost


def falling_over_depth(strength: float, saturation: float = 0.0) -> Callable[[float], float]:
    """Monotone in u = log2(depth): -strength·u, or saturating as strength·exp(-saturation·u) / saturation."""

    def cost(depth: float) -> float:
        u = math.log2(depth)
        return strength * math.exp(-saturation * u) / saturation if saturation else -strength * u

    return cost


@dataclass(frozen=True, slots=True)
class DepthPlan:
    """A planted law of depth at an equal budget of parameters."""

    cost: Callable[[float], float] = field(default_factory=lambda: bowl_over_depth(5.0, 0.025))
    """Excess cost at the best rate, over depth (measured at 1M parameters: 0.1 at two doublings from the best)."""
    ratio_effect: float = 0.0
    """Cost per doubling of the FFN ratio at fixed depth."""
    architectures: int = 20
    depths: tuple[int, int] = (2, 16)
    vocabularies: Sequence[int] = (512, 1024, 2048)
    vocabulary_effect: float = 0.01
    """Cost per doubling of the vocabulary."""
    rates: Sequence[float] = (1e-3, 2e-3, 4e-3, 8e-3)
    best_rate: float = 3e-3
    rate_drift: float = -0.25
    """Change of log lr* per doubling of depth: shallow networks like higher rates."""
    bowl: Bowl = Bowl()
    jitter: float = 0.01
    """Of the cost between architectures, which more seeds would not remove."""
    missing: float = 0.02
    budget: float = 1e6
    columns: Mapping[str, float] = field(default_factory=dict)


def plant_depth_width(plan: DepthPlan, generator: Generator) -> list[Observation]:
    """Draw the observations of one study; the width is solved for the budget, tied embedding (LLaMA blocks)."""
    rows: list[Observation] = []
    low, high = (math.log(depth) for depth in plan.depths)
    for index in range(plan.architectures):
        depth = round(math.exp(low + (high - low) * (index + generator.random()) / plan.architectures))
        ratio, vocabulary = 2 ** (2 * generator.random()), int(generator.choice(plan.vocabularies))
        block = depth * (4 + 3 * ratio)
        width = (-vocabulary + math.sqrt(vocabulary**2 + 4 * block * plan.budget)) / (2 * block)
        cost = plan.cost(depth) + plan.ratio_effect * math.log2(ratio)
        cost += plan.vocabulary_effect * math.log2(vocabulary) + plan.jitter * float(generator.standard_normal())
        best = math.log(plan.best_rate) + plan.rate_drift * math.log2(depth / 5)
        own: dict[str, Value] = {
            "depth": depth,
            "width": round(width),
            "ffn_ratio": ratio,
            "vocabulary_size": vocabulary,
        }
        runs = _runs(plan.rates, best, 2.0 + cost, own, plan, generator, len(rows))
        size = plan.budget * float(generator.uniform(0.98, 1.02))
        rows += [_with_size(run, size) for run in runs]
    return rows


def _with_size(row: Observation, size: float) -> Observation:
    metrics = {**row.metrics, "total_parameters": size} if row.metrics else {}
    return Observation(row.number, row.state, row.parameters, metrics, {"total_parameters": size})

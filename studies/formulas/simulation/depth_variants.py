"""Planted laws for the variants of the depth law: several budgets, trials of several sizes, decode speeds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator

from studies.formulas.depth_width.architectures import build_architectures
from studies.formulas.depth_width.front import knees
from studies.formulas.depth_width.growth import growth_laws
from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.formula import Formula
from studies.formulas.observations import Observation
from studies.formulas.simulation.coverage import CONTEXT, INSIDE, OUTSIDE, Outcome, Scenario, holds
from studies.formulas.simulation.planted import Bowl, DepthPlan, bowl_over_depth, falling_over_depth, plant_depth_width

SIZE_EFFECT = -0.1
"""Cost per doubling of size (measured: Gemstones fall by 0.1 to 0.15 nats from 50M to 2B)."""
FINE = 2001
"""Places at which a planted front is searched for its knee."""


@dataclass(frozen=True, slots=True)
class GrowthPlan:
    """Budgets whose best depths follow a power law."""

    exponent: float = 0.25
    budgets: Sequence[float] = (1e6, 4e6, 16e6)
    middle: float = 6.0
    """Best depth at the middle of the budgets' logarithms."""
    scatter: float = 0.1
    """Of log2 best depth around the law."""
    curvature_spread: float = 0.2
    """Of the logarithm of the bowls' strength between budgets."""
    strength: float = 0.025
    skew: float = 0.0
    design: DepthPlan = field(default_factory=lambda: DepthPlan(architectures=12))

    def best_depth(self, budget: float) -> float:
        """The law's best depth at a budget."""
        middle = float(np.log(self.budgets).mean())
        return self.middle * math.exp(self.exponent * (math.log(budget) - middle))


def plant_growth(plan: GrowthPlan, generator: Generator) -> list[Observation]:
    """Draw the observations of one study for each budget."""
    rows: list[Observation] = []
    for budget in plan.budgets:
        best = plan.best_depth(budget) * 2 ** (plan.scatter * float(generator.standard_normal()))
        strength = plan.strength * math.exp(plan.curvature_spread * float(generator.standard_normal()))
        design = replace(plan.design, cost=bowl_over_depth(best, strength, plan.skew), budget=budget)
        by = SIZE_EFFECT * math.log2(budget / plan.budgets[0])
        rows += [_raised(row, len(rows), by) for row in plant_depth_width(design, generator)]
    return rows


def _raised(row: Observation, first: int, by: float) -> Observation:
    metrics = {name: value + by * (name == "validation_loss") for name, value in row.metrics.items()}
    return replace(row, number=first + row.number, metrics=metrics)


@dataclass(frozen=True, slots=True)
class SizesPlan:
    """Architectures of sizes that are drawn independently of their depths."""

    cost: Callable[[float], float] = field(default_factory=lambda: bowl_over_depth(5.0, 0.025))
    """Over depth divided by (non-embedding parameters / 1e6)^exponent."""
    exponent: float = 0.2
    octaves: float = 2.0
    design: DepthPlan = field(default_factory=lambda: DepthPlan(architectures=24, cost=falling_over_depth(0.0)))


def plant_sizes(plan: SizesPlan, generator: Generator) -> list[Observation]:
    """Draw the observations of one study; training FLOPs are those of equal tokens."""
    rows: list[Observation] = []
    low, high = (math.log(depth) for depth in plan.design.depths)
    for index in range(plan.design.architectures):
        depth = round(math.exp(low + (high - low) * (index + generator.random()) / plan.design.architectures))
        budget = 1e6 * 2 ** (plan.octaves * (generator.random() - 0.5))
        design = replace(plan.design, architectures=1, depths=(depth, depth), budget=budget)
        rows += [_sized(row, len(rows), plan) for row in plant_depth_width(design, generator)]
    return rows


def _sized(row: Observation, first: int, plan: SizesPlan) -> Observation:
    depth, width, vocabulary = (row.number_of(name) or 0.0 for name in ("depth", "width", "vocabulary_size"))
    size = (row.number_of("total_parameters") or 0.0) - width * vocabulary
    by = plan.cost(depth / (size / 1e6) ** plan.exponent) + SIZE_EFFECT * math.log2(size / 1e6)
    counts = {"non_embedding_parameters": size, "train_flops": 6e7 * size}
    raised = _raised(row, first, by)
    return replace(raised, metrics={**raised.metrics, **counts} if row.metrics else {})


@dataclass(frozen=True, slots=True)
class SpeedPlan:
    """A study that times decoding: seconds a token are ``fixed`` + ``each`` · depth."""

    design: DepthPlan = field(default_factory=lambda: DepthPlan(cost=bowl_over_depth(10.0, 0.025)))
    fixed: float = 2e-3
    each: float = 3e-4
    """(measured: 1e-4 to 5e-4 s a block for small networks on CPUs and GPUs)."""
    noise: float = 0.03
    """Relative, between timings."""

    def speed(self, depth: float) -> float:
        """Tokens in a second."""
        return 1 / (self.fixed + self.each * depth)

    def knee(self, low: float, high: float) -> float:
        """Depth at the knee of the planted front between two depths."""
        depths = np.geomspace(low, high, FINE)
        costs = np.array([[self.design.cost(float(depth)) for depth in depths]])
        speeds = np.array([[self.speed(float(depth)) for depth in depths]])
        return float(depths[knees(costs, speeds)[0]])


def plant_speeds(plan: SpeedPlan, generator: Generator) -> list[Observation]:
    """Draw the observations of one study."""
    return [_timed(row, plan, generator) for row in plant_depth_width(plan.design, generator)]


def _timed(row: Observation, plan: SpeedPlan, generator: Generator) -> Observation:
    if not row.metrics:
        return row
    speed = plan.speed(row.number_of("depth") or 1.0) * math.exp(plan.noise * float(generator.standard_normal()))
    return replace(row, metrics={**row.metrics, "decode_tokens_per_second": speed})


def variant_of(rows: Sequence[Observation], variant: str) -> Formula:
    """A variant of the depth law, fitted to planted rows that have it."""
    return next(formula for formula in fit_depth_width(rows, CONTEXT) if formula.variant == variant)


def _growth_of(rows: Sequence[Observation]) -> list[Formula]:
    return list(growth_laws(rows, CONTEXT, build_architectures(rows, CONTEXT)))


def growth(name: str, plan: GrowthPlan) -> Scenario:
    """The exponent must be covered and its sign decided; of an exponent of 0 no sign must be claimed."""

    def study(generator: Generator) -> Outcome:
        depth, _ = _growth_of(plant_growth(plan, generator))
        return _signed(depth, plan.exponent)

    return Scenario(name, study)


def ratio_growth(name: str, plan: GrowthPlan) -> Scenario:
    """The same of the best width-to-depth ratio, whose exponent follows from the planted best depths."""
    exponent = _ratio_exponent(plan)

    def study(generator: Generator) -> Outcome:
        _, ratio = _growth_of(plant_growth(plan, generator))
        return _signed(ratio, exponent)

    return Scenario(name, study)


def _signed(formula: Formula, exponent: float) -> Outcome:
    right, wrong = (INSIDE, OUTSIDE) if exponent > 0 else (OUTSIDE, INSIDE)
    if exponent == 0:
        right, wrong = frozenset({"undetermined"}), INSIDE | OUTSIDE
    return Outcome(holds(formula.coefficients["g"], exponent), formula.verdict in wrong, formula.verdict in right)


def _ratio_exponent(plan: GrowthPlan) -> float:
    """Least-squares slope of log best ratio over log budget, at the middle FFN ratio and vocabulary."""
    depths = np.array([plan.best_depth(budget) for budget in plan.budgets])
    budgets = np.array(plan.budgets)
    vocabulary = float(np.median(plan.design.vocabularies))
    block = depths * (4 + 3 * 2.0)
    widths = (-vocabulary + np.sqrt(vocabulary**2 + 4 * block * budgets)) / (2 * block)
    return float(np.polyfit(np.log(budgets), np.log(widths / depths), 1)[0])


def knee(name: str, plan: SpeedPlan, inside: bool) -> Scenario:
    """The knee must be covered; ``inside``: whether it lies in the paper's region."""
    right, wrong = (INSIDE, OUTSIDE) if inside else (OUTSIDE, INSIDE)

    def study(generator: Generator) -> Outcome:
        rows = plant_speeds(plan, generator)
        depths = [row.number_of("depth") or 1.0 for row in rows]
        formula = variant_of(rows, "knee")
        covered = holds(formula.coefficients["knee_depth"], plan.knee(min(depths), max(depths)))
        return Outcome(covered, formula.verdict in wrong, formula.verdict in right)

    return Scenario(name, study)


def equal_amount_u(name: str, plan: SizesPlan, variant: str, best: float) -> Scenario:
    """A U over depth by conditioning: its best depth at the mean size must be covered, and its shape named."""

    def study(generator: Generator) -> Outcome:
        formula = variant_of(plant_sizes(plan, generator), variant)
        size = formula.coefficients[f"reference_{variant}"].estimate or 1e6
        if variant == "train_flops":
            size /= 6e7
        truth = best * (size / 1e6) ** plan.exponent
        shape = formula.evidence["shape"]
        return Outcome(holds(formula.coefficients["best_depth"], truth), shape.startswith("monotone"), shape == "U")

    return Scenario(name, study)


def equal_amount_trend(name: str, plan: SizesPlan, variant: str, trend: float) -> Scenario:
    """A constant trend by conditioning: it must be covered, and its sign right."""
    right, wrong = (INSIDE, OUTSIDE) if trend < 0 else (OUTSIDE, INSIDE)
    if trend == 0:
        right, wrong = frozenset({"undetermined"}), INSIDE | OUTSIDE

    def study(generator: Generator) -> Outcome:
        formula = variant_of(plant_sizes(plan, generator), variant)
        false = formula.verdict in wrong or formula.evidence["shape"] == "U"
        return Outcome(holds(formula.coefficients["depth_effect"], trend), false, formula.verdict in right)

    return Scenario(name, study)


FOUR_BUDGETS = (1e6, 4e6, 16e6, 64e6)
LARGE = DepthPlan(architectures=30, depths=(9, 40), budget=1e9, vocabularies=(48_000,))
CENSORED = replace(GrowthPlan().design, rates=(1e-3, 2e-3, 4e-3))
GROWTH_SCENARIOS: tuple[Scenario, ...] = (
    growth("g=0.25, 3 budgets x 12 architectures", GrowthPlan()),
    growth("g=0.25, 4 budgets", GrowthPlan(budgets=FOUR_BUDGETS)),
    growth("g=0.25, 4 budgets, no scatter", GrowthPlan(budgets=FOUR_BUDGETS, scatter=0.0, curvature_spread=0.0)),
    growth("g=0.25, 4 budgets, scatter 0.2", GrowthPlan(budgets=FOUR_BUDGETS, scatter=0.2)),
    growth("g=0.25, 4 budgets, skewed 0.4", GrowthPlan(budgets=FOUR_BUDGETS, skew=0.4)),
    growth("g=0.25, 4 budgets, skewed -0.4", GrowthPlan(budgets=FOUR_BUDGETS, skew=-0.4)),
    growth("g=0.33, 4 budgets, largest beyond", GrowthPlan(0.33, FOUR_BUDGETS, middle=9.0)),
    growth("g=0.25, 4 budgets, noise 0.010", GrowthPlan(budgets=FOUR_BUDGETS, design=DepthPlan(bowl=Bowl(noise=0.01)))),
    growth("g=0.25, 4 budgets, rates censored", GrowthPlan(budgets=FOUR_BUDGETS, design=CENSORED)),
    growth("g=0, 4 budgets", GrowthPlan(0.0, FOUR_BUDGETS)),
    growth("g=-0.25, 4 budgets", GrowthPlan(-0.25, FOUR_BUDGETS)),
    ratio_growth("ratio, depth g=0.1, 4 budgets", GrowthPlan(0.1, FOUR_BUDGETS)),
    ratio_growth("ratio, depth g=0.25, 4 budgets", GrowthPlan(0.25, FOUR_BUDGETS)),
)
EQUAL_AMOUNT_SCENARIOS: tuple[Scenario, ...] = (
    equal_amount_u("U at 5, equal non-embedding, 24", SizesPlan(), "non_embedding_parameters", 5.0),
    equal_amount_u("U at 5, equal FLOPs, 24", SizesPlan(), "train_flops", 5.0),
    equal_amount_u(
        "U at 5, skewed 0.4, equal FLOPs", SizesPlan(cost=bowl_over_depth(5.0, 0.025, 0.4)), "train_flops", 5.0
    ),
    equal_amount_trend(
        "falls 0.02, equal non-embedding", SizesPlan(falling_over_depth(0.02), 0.0), "non_embedding_parameters", -0.02
    ),
    equal_amount_trend("rises 0.02, equal FLOPs", SizesPlan(falling_over_depth(-0.02), 0.0), "train_flops", 0.02),
    equal_amount_trend("no effect, equal FLOPs", SizesPlan(falling_over_depth(0.0), 0.0), "train_flops", 0.0),
)
KNEE_SCENARIOS: tuple[Scenario, ...] = (
    knee("knee, U at 10", SpeedPlan(), False),
    knee("knee, U at 10, skewed 0.4", SpeedPlan(DepthPlan(cost=bowl_over_depth(10.0, 0.025, 0.4))), False),
    knee("knee, timings 10 % apart", SpeedPlan(noise=0.1), False),
    knee("knee, saturating", SpeedPlan(DepthPlan(cost=falling_over_depth(0.1, 1.0))), False),
    knee("knee, falls 0.02 a doubling", SpeedPlan(DepthPlan(cost=falling_over_depth(0.02))), False),
    knee("knee at 1B, inside", SpeedPlan(replace(LARGE, cost=bowl_over_depth(36.0, 0.05))), True),
    knee("knee at 1B, below", SpeedPlan(replace(LARGE, cost=bowl_over_depth(16.0, 0.05))), False),
)

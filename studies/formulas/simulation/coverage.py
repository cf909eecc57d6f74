"""Do intervals and verdicts hold? Scenarios with planted laws, and the tally of what is concluded from them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from studies.formulas.depth_width.law import fit_depth_width
from studies.formulas.formula import Coefficient, Formula
from studies.formulas.learning_rate_batch.exponents import REGION
from studies.formulas.learning_rate_batch.law import fit_learning_rate_batch
from studies.formulas.observations import FitContext, Observation
from studies.formulas.registry import Law
from studies.formulas.simulation.planted import (
    Bowl,
    DepthPlan,
    RateBatchPlan,
    bowl_over_depth,
    falling_over_depth,
    plant_depth_width,
    plant_rate_batch,
)

CONTEXT = FitContext(("simulated",), "validation_loss")
INSIDE = frozenset({"recovered", "agrees_at_this_scale"})
OUTSIDE = frozenset({"refuted", "differs_at_this_scale"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one simulated study concluded."""

    covered: bool | None
    """Whether the stated interval holds the truth; None where no interval was stated."""
    false: bool
    """Whether a verdict or a shape was claimed that the truth contradicts."""
    decided: bool
    """Whether the conclusion that the truth deserves was reached."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A planted law and how a formula is compared with it."""

    name: str
    study: Callable[[Generator], Outcome]


@dataclass(frozen=True, slots=True)
class Tally:
    """Shares over simulated studies."""

    studies: int
    covered: float
    """Of the studies that stated an interval."""
    false: float
    decided: float


def tally(scenario: Scenario, studies: int, seed: int) -> Tally:
    """Simulate ``studies`` independent studies."""
    generator = np.random.default_rng(seed)
    outcomes = [scenario.study(generator) for _ in range(studies)]
    stated = [outcome.covered for outcome in outcomes if outcome.covered is not None]
    return Tally(
        studies,
        float(np.mean(stated)) if stated else float("nan"),
        float(np.mean([outcome.false for outcome in outcomes])),
        float(np.mean([outcome.decided for outcome in outcomes])),
    )


def holds(coefficient: Coefficient | None, truth: float) -> bool | None:
    """Whether an interval holds the truth; None where none was stated."""
    if coefficient is None or (coefficient.estimate is None and coefficient.low is None and coefficient.high is None):
        return None
    above = coefficient.low is None or coefficient.low <= truth
    return above and (coefficient.high is None or truth <= coefficient.high)


def principal_of(law: Law, rows: Sequence[Observation]) -> Formula:
    """The first formula that a law fits to planted rows, which vary what it is about."""
    return law(rows, CONTEXT)[0]


def rate_batch(name: str, plan: RateBatchPlan) -> Scenario:
    """A learning rate x batch law; with two exponents the deserved conclusion is that one is contradicted."""
    exponents = [plan.exponent] if plan.exponent_above is None else [plan.exponent, plan.exponent_above]
    inside = all(REGION[0] <= exponent <= REGION[1] for exponent in exponents)

    def study(generator: Generator) -> Outcome:
        formula = principal_of(fit_learning_rate_batch, plant_rate_batch(plan, generator))
        found = formula.coefficients
        single = holds(found.get("r_overall", found["r"]), plan.exponent)
        covered = single
        if len(exponents) == 2:
            halves = "r_high" in found
            covered = bool(holds(found["r"], exponents[0]) and holds(found["r_high"], exponents[1])) if halves else None
        deserved = INSIDE if inside else OUTSIDE
        contradicted = formula.verdict in (OUTSIDE if inside else INSIDE)
        return Outcome(covered, contradicted, formula.verdict in deserved)

    return Scenario(name, study)


def depth_u(name: str, plan: DepthPlan, optimum: float) -> Scenario:
    """A U over depth: its best depth must be covered, and its shape named."""

    def study(generator: Generator) -> Outcome:
        formula = principal_of(fit_depth_width, plant_depth_width(plan, generator))
        shape = formula.evidence["shape"]
        covered = holds(formula.coefficients.get("best_depth"), optimum)
        return Outcome(covered, shape.startswith("monotone"), shape == "U")

    return Scenario(name, study)


def depth_trend(name: str, plan: DepthPlan, trend: float | None, falls: bool | None) -> Scenario:
    """A monotone relation: the trend's sign must be right, and no U be claimed.

    Args:
        name: of the scenario.
        plan: what is planted.
        trend: cost per doubling of depth, None where it is not constant.
        falls: whether the cost falls with depth; None: it does not depend on depth.
    """
    right = {True: INSIDE, False: OUTSIDE, None: frozenset({"undetermined"})}[falls]
    wrong = {True: OUTSIDE, False: INSIDE, None: INSIDE | OUTSIDE}[falls]

    def study(generator: Generator) -> Outcome:
        formula = principal_of(fit_depth_width, plant_depth_width(plan, generator))
        covered = None if trend is None else holds(formula.coefficients["depth_effect"], trend)
        false = formula.verdict in wrong or formula.evidence["shape"] == "U"
        return Outcome(covered, false, formula.verdict in right)

    return Scenario(name, study)


WIDE_BATCHES = tuple(2.0**power for power in (14, 16, 18, 20))
FEW_RATES = tuple(0.003 * 2.0**step for step in range(-2, 3))
RATE_BATCH_SCENARIOS: tuple[Scenario, ...] = (
    rate_batch("r=0.5, 1 grid of 7 batches x 9 rates", RateBatchPlan()),
    rate_batch("r=0.5, no jitter", RateBatchPlan(jitter=0)),
    rate_batch("r=0.5, jitter 0.15", RateBatchPlan(jitter=0.15)),
    rate_batch("r=0.5, 4 batches", RateBatchPlan(batches=WIDE_BATCHES)),
    rate_batch("r=0.5, 5 rates, edges censored", RateBatchPlan(rates=FEW_RATES)),
    rate_batch("r=0.5, bowls very asymmetric", RateBatchPlan(bowl=Bowl(asymmetry=1.0))),
    rate_batch("r=0.5, noise 0.010", RateBatchPlan(bowl=Bowl(noise=0.01))),
    rate_batch("r=0.5, 20 % of runs missing", RateBatchPlan(missing=0.2)),
    rate_batch("r=0.5, 2 grids", RateBatchPlan(grids=2)),
    rate_batch("r=0.5, 3 grids", RateBatchPlan(grids=3)),
    rate_batch("r=0.5, 3 grids, spread 0.1", RateBatchPlan(grids=3, spread=0.1)),
    rate_batch("r=0.5, 6 grids, spread 0.1", RateBatchPlan(grids=6, spread=0.1)),
    rate_batch("r=0.5, 12 grids, spread 0.1", RateBatchPlan(grids=12, spread=0.1)),
    rate_batch("r=0.2, 1 grid", RateBatchPlan(exponent=0.2)),
    rate_batch("r=0.2, noise 0.010", RateBatchPlan(exponent=0.2, bowl=Bowl(noise=0.01))),
    rate_batch("r=0.38, just outside", RateBatchPlan(exponent=0.38)),
    rate_batch("r=0.8, both edges censored", RateBatchPlan(exponent=0.8, rates=FEW_RATES)),
    rate_batch("r=0.57 then 0, 1 grid", RateBatchPlan(exponent=0.57, exponent_above=0.0)),
    rate_batch("r=0.57 then 0, 6 grids", RateBatchPlan(grids=6, exponent=0.57, exponent_above=0.0)),
)
U_SKEWED = bowl_over_depth(5.0, 0.025, 0.4)
DEPTH_WIDTH_SCENARIOS: tuple[Scenario, ...] = (
    depth_u("U at 5, 20 architectures x 4 rates", DepthPlan(), 5.0),
    depth_u("U at 5, skewed 0.4", DepthPlan(cost=U_SKEWED), 5.0),
    depth_u("U at 5, skewed -0.4", DepthPlan(cost=bowl_over_depth(5.0, 0.025, -0.4)), 5.0),
    depth_u(
        "U at 4, 16 architectures, depth 1-16",
        DepthPlan(bowl_over_depth(4.0, 0.025), architectures=16, depths=(1, 16)),
        4.0,
    ),
    depth_u("U at 10, near the end", DepthPlan(cost=bowl_over_depth(10.0, 0.025)), 10.0),
    depth_u("weak U", DepthPlan(cost=bowl_over_depth(5.0, 0.01)), 5.0),
    depth_u("U at 5, 3 rates", DepthPlan(rates=(1.5e-3, 3e-3, 6e-3)), 5.0),
    depth_u("U at 5, rates censored", DepthPlan(rates=(0.75e-3, 1.5e-3, 3e-3)), 5.0),
    depth_u("U at 5, noise 0.010", DepthPlan(bowl=Bowl(noise=0.01)), 5.0),
    depth_trend("falls 0.02 a doubling", DepthPlan(cost=falling_over_depth(0.02)), -0.02, True),
    depth_trend("rises 0.02 a doubling", DepthPlan(cost=falling_over_depth(-0.02)), 0.02, False),
    depth_trend("no effect of depth", DepthPlan(cost=falling_over_depth(0.0)), 0.0, None),
    depth_trend("saturating", DepthPlan(cost=falling_over_depth(0.1, 1.0)), None, True),
    depth_trend("saturating early", DepthPlan(cost=falling_over_depth(0.3, 2.0)), None, True),
)

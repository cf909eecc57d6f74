"""Planted laws of the vocabulary at equal parameters and equal bytes, and whether what is fitted to them holds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from search.events import Value
from studies.formulas.observations import Observation
from studies.formulas.simulation.coverage import INSIDE, OUTSIDE, Outcome, Scenario, holds, principal_of
from studies.formulas.simulation.planted import DIVERGENCE_DISTANCE, Bowl, bowl_over_depth
from studies.formulas.vocabulary.law import fit_vocabulary
from studies.records import TrialState

bowl_over_vocabulary = bowl_over_depth
"""A bowl in log2(V) around its optimum."""


@dataclass(frozen=True, slots=True)
class VocabularyPlan:
    """A planted law of the vocabulary; the head is tied."""

    cost: Callable[[float], float] = field(default_factory=lambda: bowl_over_vocabulary(4096.0, 0.02))
    """Excess bits per byte at the best rate, over V."""
    sizes: Sequence[int] = (1024, 2048, 4096, 8192, 16384, 32768)
    depths: Sequence[int] = (6, 10)
    depth_effect: float = -0.01
    """Bits per byte per doubling of depth."""
    rates: Sequence[float] = (7.5e-4, 1.5e-3, 3e-3, 6e-3)
    best_rate: float = 2e-3
    rate_drift: float = 0.1
    """Change of log lr* per doubling of V, since the network gets thinner."""
    seeds: int = 1
    bowl: Bowl = field(default_factory=Bowl)
    jitter: float = 0.005
    """Of the bits per byte between networks, which more seeds would not remove."""
    missing: float = 0.02
    total_parameters: float = 1e8
    covering_vocabulary: int | None = 6000
    """What trials of the largest vocabulary report; None: they do not."""
    train_bytes: float = 1e8


def plant_vocabulary(plan: VocabularyPlan, generator: Generator) -> list[Observation]:
    """Draw the observations of one study; the width is solved for the total (LLaMA blocks, FFN ratio 8/3)."""
    rows: list[Observation] = []
    for size in plan.sizes:
        for depth in plan.depths:
            cost = 1.5 + plan.cost(size) + plan.depth_effect * math.log2(depth / 8)
            cost += plan.jitter * float(generator.standard_normal())
            best = math.log(plan.best_rate) + plan.rate_drift * math.log2(size / 4096)
            reported = _sizes(plan, size, depth, generator)
            for rate in plan.rates:
                for seed in range(plan.seeds):
                    if generator.random() < plan.missing:
                        continue
                    own: dict[str, Value] = {
                        "vocabulary_size": size,
                        "depth": depth,
                        "learning_rate": rate,
                        "seed": seed,
                    }
                    rows.append(_run(len(rows), own, cost, math.log(rate) - best, reported, plan, generator))
    return rows


def _sizes(plan: VocabularyPlan, size: int, depth: int, generator: Generator) -> dict[str, float]:
    """What the trials of one network report of their size and length."""
    total, block = plan.total_parameters, 12 * depth
    width = (-size + math.sqrt(size**2 + 4 * block * total)) / (2 * block)
    near = total * float(generator.uniform(0.98, 1.02))
    return {
        "total_parameters": near,
        "embedding_share": size * width / near,
        "train_bytes": plan.train_bytes * float(generator.uniform(0.99, 1.01)),
        "train_tokens": plan.train_bytes / (0.8 + 0.25 * math.log2(size)),
    }


def _run(
    number: int,
    parameters: dict[str, Value],
    cost: float,
    distance: float,
    reported: dict[str, float],
    plan: VocabularyPlan,
    generator: Generator,
) -> Observation:
    if distance > DIVERGENCE_DISTANCE:
        return Observation(number, TrialState.FAIL, parameters, {}, {})
    bits = cost + plan.bowl.cost(distance, generator)
    told: dict[str, Value] = (
        {} if plan.covering_vocabulary is None else {"covering_vocabulary": plan.covering_vocabulary}
    )
    return Observation(number, TrialState.COMPLETE, parameters, {"bits_per_byte": bits, **reported}, told)


def _true_regret(plan: VocabularyPlan, size: float) -> float:
    grid = np.geomspace(min(plan.sizes), max(plan.sizes), 2001)
    return max(plan.cost(size) - min(plan.cost(float(at)) for at in grid), 0.0)


def best_vocabulary(name: str, plan: VocabularyPlan, optimum: float) -> Scenario:
    """A bowl: the interval must hold the best vocabulary; it is decided when it is closed and narrower than 4."""

    def study(generator: Generator) -> Outcome:
        formula = principal_of(fit_vocabulary, plant_vocabulary(plan, generator))
        found = formula.coefficients.get("best_vocabulary")
        closed = found is not None and found.low is not None and found.high is not None
        narrow = closed and found is not None and (found.high or math.inf) < 4 * (found.low or 0.0)
        return Outcome(holds(found, optimum), formula.evidence["shape"].startswith("monotone"), narrow)

    return Scenario(name, study)


def rule_regret(name: str, plan: VocabularyPlan) -> Scenario:
    """The regret of the rule must be covered; it is decided when its interval is narrower than 0.04 bits per byte."""

    def study(generator: Generator) -> Outcome:
        formula = principal_of(fit_vocabulary, plant_vocabulary(plan, generator))
        found = formula.coefficients.get("rule_regret")
        rule = formula.coefficients.get("rule_vocabulary")
        if found is None or rule is None:
            return Outcome(None, False, False)
        narrow = (found.high or 0.0) - (found.low or 0.0) < 0.04
        return Outcome(holds(found, _true_regret(plan, rule.estimate or 1.0)), False, narrow)

    return Scenario(name, study)


def compact(name: str, plan: VocabularyPlan, gains: bool | None) -> Scenario:
    """The paper's claim: its difference must be covered, and its sign right.

    Args:
        name: of the scenario.
        plan: what is planted.
        gains: whether the rule's vocabulary is better than the largest; None: they are equal.
    """
    right = {True: INSIDE, False: OUTSIDE, None: frozenset({"undetermined"})}[gains]
    wrong = {True: OUTSIDE, False: INSIDE, None: INSIDE | OUTSIDE}[gains]

    def study(generator: Generator) -> Outcome:
        formula = principal_of(fit_vocabulary, plant_vocabulary(plan, generator))
        rule = formula.coefficients.get("rule_vocabulary")
        if rule is None or rule.estimate is None:
            return Outcome(None, False, False)
        truth = plan.cost(rule.estimate) - plan.cost(max(plan.sizes))
        covered = holds(formula.coefficients["rule_against_largest"], truth)
        return Outcome(covered, formula.verdict in wrong, formula.verdict in right)

    return Scenario(name, study)


def _flat(size: float) -> float:
    return 0.0 * size


FOUR_SIZES = (1024, 4096, 8192, 32768)
SKEWED, SKEWED_BACK = bowl_over_vocabulary(4096.0, 0.02, 0.4), bowl_over_vocabulary(4096.0, 0.02, -0.4)
AT_THE_END = bowl_over_vocabulary(24_000.0, 0.02)
VOCABULARY_SCENARIOS: tuple[Scenario, ...] = (
    best_vocabulary("best V 4096, 6 sizes x 2 depths x 4 rates", VocabularyPlan(), 4096.0),
    best_vocabulary("best V, one depth", VocabularyPlan(depths=(8,)), 4096.0),
    best_vocabulary("best V, 4 sizes x 2 depths", VocabularyPlan(sizes=FOUR_SIZES), 4096.0),
    best_vocabulary("best V, skewed 0.4", VocabularyPlan(cost=SKEWED), 4096.0),
    best_vocabulary("best V, skewed -0.4", VocabularyPlan(cost=SKEWED_BACK), 4096.0),
    best_vocabulary("best V, bowls of the rate very asymmetric", VocabularyPlan(bowl=Bowl(asymmetry=1.0)), 4096.0),
    best_vocabulary("best V, rates censored", VocabularyPlan(rates=(7.5e-4, 1.5e-3, 3e-3)), 4096.0),
    best_vocabulary("best V, noise 0.010", VocabularyPlan(bowl=Bowl(noise=0.01)), 4096.0),
    best_vocabulary("best V, jitter 0.015", VocabularyPlan(jitter=0.015), 4096.0),
    best_vocabulary("best V 24k, near the end", VocabularyPlan(cost=AT_THE_END), 24_000.0),
    rule_regret("regret 0.006", VocabularyPlan()),
    rule_regret("regret 0", VocabularyPlan(covering_vocabulary=4096)),
    rule_regret("regret, skewed 0.4", VocabularyPlan(cost=SKEWED)),
    rule_regret("regret, one depth", VocabularyPlan(depths=(8,))),
    compact("rule gains 0.17", VocabularyPlan(), True),
    compact("rule gains 0.03", VocabularyPlan(cost=bowl_over_vocabulary(4096.0, 0.0035)), True),
    compact("rule loses 0.06", VocabularyPlan(cost=AT_THE_END), False),
    compact("rule equals the largest", VocabularyPlan(cost=_flat), None),
)

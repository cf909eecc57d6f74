"""Planted comparisons of methods over paired seeds, and whether what is concluded from them holds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from numpy.random import Generator

from search.events import Value
from studies.formulas.comparisons.law import fit_inheritance, fit_initialization, fit_multiple_rounds
from studies.formulas.observations import Observation
from studies.formulas.registry import Law
from studies.formulas.simulation.coverage import INSIDE, OUTSIDE, Outcome, Scenario, principal_of
from studies.formulas.simulation.planted import DIVERGENCE_DISTANCE, Bowl
from studies.records import TrialState

METRIC = "validation_loss"
LEVEL = 2.5


@dataclass(frozen=True, slots=True)
class ComparisonPlan:
    """A planted comparison."""

    effects: Mapping[str, float]
    """Loss of each method at its own best rate, less ``LEVEL``."""
    label: Callable[[str], dict[str, Value]]
    """The parameters of a method."""
    seeds: int = 8
    configurations: int = 1
    rates: Sequence[float] = (3e-3,)
    best_rate: float = 3e-3
    rate_shifts: Mapping[str, float] = field(default_factory=dict)
    """Of the log of a method's own best rate."""
    bowl: Bowl = field(default_factory=Bowl)
    shared: float = 0.005
    """Standard deviation of what the methods of a seed share."""
    interaction: float = 0.0
    """Of a method's effect between configurations."""
    missing: float = 0.02


def plant_comparison(plan: ComparisonPlan, generator: Generator) -> list[Observation]:
    """Draw the observations of one study; configurations differ in depth."""
    rows: list[Observation] = []
    for configuration in range(plan.configurations):
        own = {method: plan.interaction * float(generator.standard_normal()) for method in plan.effects}
        for seed in range(plan.seeds):
            shared = plan.shared * float(generator.standard_normal()) + 0.1 * configuration
            for method, effect in plan.effects.items():
                parameters: dict[str, Value] = {**plan.label(method), "seed": seed, "depth": 4 + configuration}
                best = math.log(plan.best_rate) + plan.rate_shifts.get(method, 0.0)
                cost = LEVEL + shared + effect + own[method]
                rows += _runs(len(rows), parameters, cost, best, plan, generator)
    return rows


def _runs(
    first: int, parameters: dict[str, Value], cost: float, best: float, plan: ComparisonPlan, generator: Generator
) -> list[Observation]:
    rows: list[Observation] = []
    for rate in plan.rates:
        if generator.random() < plan.missing:
            continue
        distance = math.log(rate) - best
        failed = distance > DIVERGENCE_DISTANCE
        metrics = {} if failed else {METRIC: cost + plan.bowl.cost(distance, generator)}
        state = TrialState.FAIL if failed else TrialState.COMPLETE
        rows.append(Observation(first + len(rows), state, {**parameters, "learning_rate": rate}, metrics, {}))
    return rows


def _scheme(method: str) -> dict[str, Value]:
    return {"init_scheme": method}


def _inherited(method: str) -> dict[str, Value]:
    return {"inherit_method": method}


def _rounds(method: str) -> dict[str, Value]:
    number = int(method.split("_")[1])
    return {"rounds": number, **({} if number == 1 else {"sampling_rate": 0.5})}


def comparison(name: str, law: Law, plan: ComparisonPlan, deserved: frozenset[str]) -> Scenario:
    """A comparison: all intervals must hold at once, and no claim or sign be decided wrongly.

    Args:
        name: of the scenario.
        law: which comparison.
        plan: what is planted.
        deserved: verdicts that the truth deserves; others than ``undetermined`` are false.
    """

    def study(generator: Generator) -> Outcome:
        formula = principal_of(law, plant_comparison(plan, generator))
        pairs = formula.evidence["pairs"]
        truths = {(a, b): plan.effects[b] - plan.effects[a] for a, b in combinations(plan.effects, 2)}
        truths |= {(b, a): -truth for (a, b), truth in truths.items()}
        gaps = [(row, truths[row["first"], row["second"]]) for row in pairs]
        covered = all(row["low"] <= truth <= row["high"] for row, truth in gaps) if gaps else None
        wrong_sign = any(row["p_holm"] <= 0.05 and row["difference"] * truth <= 0 for row, truth in gaps)
        wrong = formula.verdict not in deserved | {"undetermined"}
        return Outcome(covered, wrong or wrong_sign, formula.verdict in deserved)

    return Scenario(name, study)


NEITHER: frozenset[str] = frozenset({"undetermined"})
RATES = (7.5e-4, 1.5e-3, 3e-3, 6e-3)
EQUAL = {"constant": 0.0, "gpt2": 0.0, "internlm": 0.0}
NEARLY = {"constant": 0.0, "gpt2": 0.006, "internlm": -0.006}
OTHER_RATES = {"gpt2": 0.4, "internlm": -0.3}
STEPS = {"random": 0.0, "l1": -0.02, "l2": -0.04, "taylor": -0.06, "learned_mask": -0.08}
REVERSED = {**STEPS, "taylor": -0.04, "l2": -0.06}
NO_STEPS = dict.fromkeys(STEPS, 0.0)
TWO_ROUNDS = {"rounds_1": 0.0, "rounds_2_at_50": -0.03, "rounds_3_at_50": -0.03}
NO_ROUNDS = dict.fromkeys(TWO_ROUNDS, 0.0)


def _initialization(name: str, effects: Mapping[str, float], deserved: frozenset[str], **own: object) -> Scenario:
    return comparison(f"F3 {name}", fit_initialization, ComparisonPlan(effects, _scheme, **own), deserved)  # type: ignore[arg-type]


def _inheritance(name: str, effects: Mapping[str, float], deserved: frozenset[str], **own: object) -> Scenario:
    return comparison(f"F4 {name}", fit_inheritance, ComparisonPlan(effects, _inherited, **own), deserved)  # type: ignore[arg-type]


def _multiple(name: str, effects: Mapping[str, float], deserved: frozenset[str], **own: object) -> Scenario:
    return comparison(f"F6 {name}", fit_multiple_rounds, ComparisonPlan(effects, _rounds, **own), deserved)  # type: ignore[arg-type]


COMPARISON_SCENARIOS: tuple[Scenario, ...] = (
    _initialization("equal, 8 seeds, one rate", EQUAL, INSIDE),
    _initialization("equal, 4 seeds", EQUAL, INSIDE, seeds=4),
    _initialization("equal, 6 seeds", EQUAL, INSIDE, seeds=6),
    _initialization("equal, noise 0.010", EQUAL, INSIDE, bowl=Bowl(noise=0.01)),
    _initialization("equal, noise 0.010, 12 seeds", EQUAL, INSIDE, bowl=Bowl(noise=0.01), seeds=12),
    _initialization("apart by half the margin", NEARLY, INSIDE),
    _initialization("equal, own best rates differ, 4 rates", EQUAL, INSIDE, rates=RATES, rate_shifts=OTHER_RATES),
    _initialization("equal, own best rates at an edge", EQUAL, INSIDE | NEITHER, rates=RATES[:3]),
    _initialization("equal, bowls very asymmetric", EQUAL, INSIDE, rates=RATES, bowl=Bowl(asymmetry=1.0)),
    _initialization("equal, 6 configurations x 2 seeds", EQUAL, INSIDE, configurations=6, seeds=2, interaction=0.003),
    _initialization("gpt2 worse by 0.05", {**EQUAL, "gpt2": 0.05}, OUTSIDE),
    _initialization("gpt2 worse by the margin", {**EQUAL, "gpt2": 0.025}, NEITHER),
    _inheritance("steps of 0.02, 8 seeds", STEPS, INSIDE),
    _inheritance("steps of 0.02, 5 seeds", STEPS, INSIDE, seeds=5),
    _inheritance("steps of 0.02, 4 rates", STEPS, INSIDE, rates=RATES),
    _inheritance("taylor and l2 reversed", REVERSED, OUTSIDE),
    _inheritance("no effect", NO_STEPS, NEITHER),
    _multiple("second round 0.03, 8 seeds", TWO_ROUNDS, INSIDE),
    _multiple("second round 0.03, noise 0.010", TWO_ROUNDS, INSIDE, bowl=Bowl(noise=0.01)),
    _multiple("no effect", NO_ROUNDS, NEITHER),
    _multiple("second round worse by 0.03", {**TWO_ROUNDS, "rounds_2_at_50": 0.03}, OUTSIDE),
)

"""Does the gate hold its errors, and how often does it decide? Validations with planted losses and noise.

Each scenario states the loss of every candidate at three doubling sizes and the noise of their runs. Runs of one seed
share the order of the data, so that a part of their noise is common; it cancels in paired differences.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from studies.validation.gate import Rung, Runs, judge
from studies.validation.judgement import RECIPE, CandidateName, GateVerdict, Judgement

SIZES = (1_000_000, 2_000_000, 4_000_000)
TARGET = 1_000_000_000
MARGIN = 0.01
"""Bits per byte: 0.5 % of 2."""
NOISE = 0.005
"""Standard deviation of a run, beside what is common to a seed (measured: 0.005 to 0.010 bits per byte at 1M
parameters, docs/benchmarks.md)."""
COMMON = 0.005
"""Standard deviation of what the runs of a seed share (assumed)."""
RIVALS: tuple[CandidateName, ...] = ("default", "step_law", "half_rate", "double_rate")
WORSE = (0.08, 0.03, 0.02, 0.02)
"""How much worse than the recipe each rival is, where a scenario says nothing else: a factor of two in rate costs 0.02
(measured: curvature 0.03 per (log rate)², asymmetric)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A planted validation."""

    name: str
    leads: tuple[tuple[float, float, float, float], ...] = (WORSE,) * 3
    """By size and rival: how much better the recipe is; negative where it is worse."""
    noise: tuple[float, float, float] = (NOISE,) * 3
    """By size."""
    rival_noise: tuple[float, float, float, float] = (1.0,) * 4
    """By rival, relative to the recipe's."""
    seeds: int = 3
    diverging: frozenset[CandidateName] = field(default_factory=frozenset)
    """Rivals that diverge on every seed."""
    deserves: GateVerdict | None = "passed"
    """The verdict that the truth deserves; None where undecided is right."""

    @property
    def regret(self) -> float:
        """The true regret at the largest size, to the rivals that can be trained."""
        leads = zip(RIVALS, self.leads[-1], strict=True)
        return max(-lead for name, lead in leads if name not in self.diverging)


@dataclass(frozen=True, slots=True)
class Shares:
    """What came of many simulated validations."""

    covered: float
    """Upper bounds of regret that hold the true one."""
    false_passes: float
    """Passed although the true regret at the largest size is no less than the margin."""
    false_failures: float
    """Failed although it is no more than the margin."""
    decided: float
    """Given the verdict that the truth deserves, undecided among them."""


def tally(scenario: Scenario, validations: int, seed: int) -> Shares:
    """Simulate ``validations`` of a scenario."""
    generator = np.random.default_rng(seed)
    judged = [simulate(scenario, generator) for _ in range(validations)]
    return Shares(
        covered=_share(judged, lambda one: one.regret is not None and one.regret.high >= scenario.regret),
        false_passes=_share(judged, lambda one: one.verdict == "passed" and scenario.regret >= MARGIN),
        false_failures=_share(judged, lambda one: one.verdict == "failed" and scenario.regret <= MARGIN),
        decided=_share(judged, lambda one: one.verdict == (scenario.deserves or "undecided")),
    )


def _share(judged: list[Judgement], holds: Callable[[Judgement], bool]) -> float:
    return float(np.mean([holds(one) for one in judged]))


def simulate(scenario: Scenario, generator: Generator) -> Judgement:
    """Judge one validation of a scenario."""
    rungs = [_rung(scenario, place, size, generator) for place, size in enumerate(SIZES)]
    return judge(rungs, MARGIN, TARGET)


def _rung(scenario: Scenario, place: int, size: int, generator: Generator) -> Rung:
    level = 3.0 - 0.1 * place + COMMON * generator.standard_normal(scenario.seeds)
    noise = scenario.noise[place]

    def runs(lead: float, deviation: float) -> Runs:
        values: Floats = level + lead + deviation * generator.standard_normal(scenario.seeds)
        return Runs(dict(enumerate(values.tolist())))

    trained = {RECIPE: runs(0.0, noise)}
    for name, lead, factor in zip(RIVALS, scenario.leads[place], scenario.rival_noise, strict=True):
        trained[name] = Runs({}, scenario.seeds) if name in scenario.diverging else runs(lead, factor * noise)
    return Rung(size, trained)


def _close(lead: float) -> tuple[tuple[float, float, float, float], ...]:
    """One rival, lr / 2, at this lead at every size; the others clearly worse."""
    return ((0.08, 0.03, lead, 0.02),) * 3


def _at_margin(regret: float) -> tuple[tuple[float, float, float, float], ...]:
    return _close(-regret)


SCENARIOS = (
    Scenario("recipe best, lr / 2 and lr x 2 cost 0.02"),
    Scenario("recipe best by 0.005 against lr / 2", _close(0.005)),
    Scenario("lr / 2 as good as the recipe", _close(0.0)),
    Scenario("every rival as good as the recipe", ((0.0,) * 4,) * 3),
    Scenario("every rival as good, 5 seeds", ((0.0,) * 4,) * 3, seeds=5),
    Scenario("lr x 2 diverges", diverging=frozenset({"double_rate"})),
    Scenario("regret at the margin", _at_margin(MARGIN), deserves=None),
    Scenario("regret at the margin, four rivals alike", ((-MARGIN,) * 4,) * 3, deserves=None),
    Scenario("at the margin, noise grows to 2x", _at_margin(MARGIN), (0.005, 0.007, 0.010), deserves=None),
    Scenario("at the margin, noise falls to half", _at_margin(MARGIN), (0.010, 0.007, 0.005), deserves=None),
    Scenario("at the margin, that rival 3x noisier", _at_margin(MARGIN), rival_noise=(1, 1, 3, 1), deserves=None),
    Scenario("at the margin, other rivals quiet", _at_margin(MARGIN), rival_noise=(0.3, 0.3, 1, 0.3), deserves=None),
    Scenario("at the margin, 5 seeds", _at_margin(MARGIN), seeds=5, deserves=None),
    Scenario("regret 0.02", _at_margin(0.02), deserves="failed"),
    Scenario("regret 0.03", _at_margin(0.03), deserves="failed"),
    Scenario("regret 0.03, 5 seeds", _at_margin(0.03), seeds=5, deserves="failed"),
    Scenario(
        "best rate moves through the recipe: lr / 2 from 0.04 worse to 0.009 better",
        ((0.08, 0.03, 0.04, 0.01), (0.08, 0.03, 0.015, 0.02), (0.08, 0.03, -0.009, 0.04)),
        deserves=None,
    ),
    Scenario(
        "regret within the margin, and growing by 0.01 a doubling",
        ((0.08, 0.03, 0.02, 0.02), (0.08, 0.03, 0.01, 0.02), (0.08, 0.03, 0.0, 0.02)),
        deserves=None,
    ),
    Scenario(
        "leads shrink with size, none is near",
        ((0.12, 0.05, 0.03, 0.03), (0.10, 0.04, 0.025, 0.025), (0.08, 0.03, 0.02, 0.02)),
    ),
)
"""The gate's errors are looked at where the truth lies at the margin; its power where a verdict is deserved."""

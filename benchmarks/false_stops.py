"""How often a scheduler stops the trial that would have ended best, and what it saves: simulated studies.

Each study has 30 trials, two at a time, whose annealed losses follow planted curves with noise. A trial's cost is that
of its trunk and of its cooldowns (a fifth of each length), in whole runs without a scheduler.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from search.settings import SchedulerSpec
from search.stopping import StoppingRule, stopping_rule
from trainer.config import OptimizationConfig

Floats = NDArray[np.float64]

STUDIES = 500
TRIALS = 30
PARALLEL = 2
NOISE = 0.005
"""Bits per byte; the deviation between seeds of small proxies."""


@dataclass(frozen=True)
class Planted:
    """Losses of trials at a share t of the run: end + drop · (t^-exponent - 1)."""

    ends_n: Floats
    drops_n: Floats
    exponents_n: Floats

    def at(self, shares_k: Floats) -> Floats:
        """Losses without noise, by trial and share."""
        return self.ends_n[:, None] + self.drops_n[:, None] * (shares_k ** -self.exponents_n[:, None] - 1)


def _planted(draws: Generator, ends: Floats | None = None, spread: float = 0.3) -> Planted:
    ends = draws.normal(3, 0.15, TRIALS) if ends is None else ends
    drops = np.exp(draws.normal(np.log(0.3), 0.4, TRIALS))
    return Planted(ends, drops, np.exp(draws.normal(np.log(0.4), spread, TRIALS)))


def _normal(noise: float, **planted: float) -> Callable[[Generator, Floats], Floats]:
    return lambda draws, shares: _noisy(draws, _planted(draws, **planted).at(shares), noise)  # type: ignore[arg-type]


def _noisy(draws: Generator, losses_nk: Floats, noise: float = NOISE) -> Floats:
    noisy: Floats = losses_nk + draws.normal(0, noise, losses_nk.shape)
    return noisy


def _ties(draws: Generator, shares: Floats) -> Floats:
    return _noisy(draws, _planted(draws, draws.normal(3, 0.01, TRIALS)).at(shares))


def _crossing(draws: Generator, shares: Floats) -> Floats:
    """What ends better gains more: the best are not ahead at first."""
    planted = _planted(draws)
    drops = np.maximum(0.3 - (planted.ends_n - 3), 0.02)
    return _noisy(draws, Planted(planted.ends_n, drops, planted.exponents_n).at(shares))


def _improving(draws: Generator, shares: Floats) -> Floats:
    """The sampler learns: later trials end better."""
    ends = 3 + 0.3 * np.exp(-np.arange(TRIALS) / 8) + draws.normal(0, 0.08, TRIALS)
    return _noisy(draws, _planted(draws, ends).at(shares))


def _heavy_tails(draws: Generator, shares: Floats) -> Floats:
    losses = _planted(draws).at(shares)
    heavy: Floats = losses + NOISE * draws.standard_t(3, losses.shape)
    return heavy


def _exponential(draws: Generator, shares: Floats) -> Floats:
    """No power law: the gain that is left decays exponentially."""
    planted, rates = _planted(draws), np.exp(draws.normal(np.log(3), 0.4, TRIALS))[:, None]
    left = np.exp(-rates * shares) - np.exp(-rates)
    return _noisy(draws, planted.ends_n[:, None] + 2 * planted.drops_n[:, None] * left)


def _late(draws: Generator, shares: Floats) -> Floats:
    """A tenth of the trials falls by another 0.3 at two thirds of the run, which nothing before it tells."""
    late = draws.random((TRIALS, 1)) < 0.1
    return _noisy(draws, _planted(draws).at(shares) + late * 0.3 / (1 + np.exp((shares - 0.7) * 20)))


POWER_LAWS: Mapping[str, Callable[[Generator, Floats], Floats]] = {
    "power laws": _normal(NOISE),
    "noise × 4": _normal(4 * NOISE),
    "noise / 10": _normal(NOISE / 10),
    "exponents from 0.1 to 2": _normal(NOISE, spread=0.8),
    "near ties": _ties,
    "crossing": _crossing,
    "improving sampler": _improving,
    "heavy-tailed noise": _heavy_tails,
}
OTHER_CURVES: Mapping[str, Callable[[Generator, Floats], Floats]] = {"exponential": _exponential, "late falls": _late}
SCENARIOS = {**POWER_LAWS, **OTHER_CURVES}


@dataclass(frozen=True)
class Outcome:
    """What a rule did to one study."""

    false_stop: bool
    """Whether it stopped the trial that would have ended best."""
    cost: float
    """Of a trial, in whole runs without a scheduler; mean over trials."""
    regret: float
    """Loss of the best trial that ended, above that of the best one."""


def simulate(rule: StoppingRule, losses_nk: Floats) -> Outcome:
    """One study under ``rule``, whose evaluations, and the last one, the columns are."""
    numbers = (*rule.evaluations, rule.last)
    cooldown = OptimizationConfig().cooldown_ratio
    costs = [(number + cooldown * sum(numbers[:place])) / rule.last for place, number in enumerate(numbers)]
    waiting, ended, cost = iter(range(len(losses_nk))), [], 0.0
    running = [(0.0, number, 0) for number in islice(waiting, PARALLEL)]
    while running:
        began, number, place = min(running, key=lambda run: (run[0] + costs[run[2]], run[1]))
        running.remove((began, number, place))
        stopped = rule.report(number, numbers[place], float(losses_nk[number, place])) is not None
        if not stopped and numbers[place] < rule.last:
            running.append((began, number, place + 1))
            continue
        cost += costs[place]
        ended += [] if stopped else [number]
        following = next(waiting, None)
        if following is not None:
            running.append((began + costs[place], following, 0))
    best = int(losses_nk[:, -1].argmin())
    regret = float(losses_nk[ended, -1].min() - losses_nk[best, -1])
    return Outcome(best not in ended, cost / len(losses_nk), regret)


def outcomes(spec: SchedulerSpec, evaluations: int, scenario: str, studies: int) -> list[Outcome]:
    """Studies of one scenario; every scheduler meets the same trials at the evaluations that it shares with others."""
    found = []
    for seed in range(studies):
        rule = stopping_rule(spec, evaluations, seed)
        shares = np.arange(1, evaluations + 1) / evaluations
        losses = SCENARIOS[scenario](np.random.default_rng(seed), shares)
        found.append(simulate(rule, losses[:, [number - 1 for number in (*rule.evaluations, evaluations)]]))
    return found


def false_stops(found: list[Outcome]) -> float:
    """Share of the studies whose best trial was stopped."""
    return float(np.mean([outcome.false_stop for outcome in found]))


def measure() -> float:
    """Lowest share of studies whose best trial ``curve`` let end, over scenarios that are power laws."""
    kept = []
    curve = SchedulerSpec(kind="curve")
    for evaluations in (9, 16):
        for scenario in SCENARIOS:
            specs = (curve, SchedulerSpec(kind="asha"), SchedulerSpec(kind="hyperband"))
            cells = []
            for spec in specs:
                found = outcomes(spec, evaluations, scenario, STUDIES)
                cost, regret = np.mean([(one.cost, one.regret) for one in found], axis=0)
                cells.append(f"{spec.kind} {false_stops(found):.3f} cost {cost:.2f} regret {regret:.4f}")
                if spec is curve and scenario in POWER_LAWS:
                    kept.append(1 - false_stops(found))
            print(f"   {evaluations} evaluations, {scenario}: best stopped: {'; '.join(cells)}", flush=True)
    return min(kept)

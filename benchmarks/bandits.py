"""How much rules that choose among arms lose, on arms of known feedback: ``python -m benchmarks.bandits``.

Feedback of a whole game is drawn before it, so that all rules meet the same luck. Three measures, after :data:`PULLS`
pulls, with 95 % intervals over :data:`SEEDS` games:

- best value: the largest feedback of the arm that is best in expectation when pulled all the time, less the largest
that the rule found (extreme regret of Carpentier and Valko, NeurIPS 2014); - extreme region: the sum over pulls of the
best arm's level less that of the pulled arm, the level being that of ER-UCB (arXiv 1905.13703) with its own constants;
- share of the pulls that went to that best arm.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.bandits import (
    Arm,
    ArmRule,
    ErUcbNonStationary,
    ErUcbStationary,
    SuccessiveElimination,
    Ucb1,
    Uniform,
    ranking,
)
from search.samplers.cascade import RULE as CASCADE_RULE

PULLS = 200
SEEDS = 200
LARGE = 20_000
"""Draws from which the level of an arm is known."""

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]
"""So many pieces of feedback of one arm, one after the other."""

RULES: Mapping[str, ArmRule] = {
    "ER-UCB-S": ErUcbStationary(),
    "ER-UCB-S over the median": CASCADE_RULE,
    "ER-UCB-N": ErUcbNonStationary(horizon=PULLS),
    "UCB1": Ucb1(),
    "successive elimination": SuccessiveElimination(),
    "uniform": Uniform(),
}


def normal(mean: float, deviation: float) -> Draw:
    """Feedback around a mean."""
    return lambda draws, count: np.clip(draws.normal(mean, deviation, count), 0, 1)


def mixture(share: float, rare: Draw, common: Draw) -> Draw:
    """``rare`` in a ``share`` of the pulls, ``common`` in the others."""
    return lambda draws, count: np.where(draws.random(count) < share, rare(draws, count), common(draws, count))


def rising(last: float, pulls: float, noise: float) -> Draw:
    """A search below the arm: feedback rises towards ``last``, by 1 − 1/e of the way in so many pulls."""

    def draw(draws: np.random.Generator, count: int) -> Floats:
        level = last * (0.4 + 0.6 * (1 - np.exp(-np.arange(count) / pulls)))
        return np.clip(level + draws.normal(0, noise, count), 0, 1)

    return draw


@dataclass(frozen=True)
class Problem:
    """Arms to choose among."""

    name: str
    arms: tuple[Draw, ...]
    stationary: bool = True


PROBLEMS = (
    Problem("means and tails agree", tuple(normal(mean, 0.1) for mean in (0.35, 0.4, 0.45, 0.5, 0.6))),
    Problem("equal arms", (normal(0.5, 0.1),) * 5),
    Problem("tails beat means", (normal(0.62, 0.02), normal(0.6, 0.03), normal(0.58, 0.04), normal(0.52, 0.15))),
    Problem("tails beat much higher means", (normal(0.62, 0.02), normal(0.6, 0.03), normal(0.4, 0.2))),
    Problem(
        "a rare jackpot",
        (normal(0.6, 0.05), normal(0.55, 0.05), mixture(0.05, normal(0.9, 0.03), normal(0.4, 0.05))),
    ),
    Problem(
        "spread by failures",
        (normal(0.66, 0.04), mixture(0.2, normal(0, 0), normal(0.7, 0.02)), normal(0.55, 0.05)),
    ),
    Problem(
        "searches that rise",
        (rising(0.85, 60, 0.05), rising(0.75, 5, 0.05), rising(0.7, 15, 0.05), rising(0.6, 5, 0.05)),
        stationary=False,
    ),
)


@dataclass(frozen=True)
class Losses:
    """What one rule lost on one problem, an entry for each game."""

    best_value: Floats
    extreme_region: Floats
    right_arm: Floats


def play(rule: ArmRule, drawn: Floats) -> NDArray[np.int64]:
    """The pulls of each arm in one game; ``drawn`` has shape (arms, pulls)."""
    pulls = np.zeros(len(drawn), dtype=np.int64)
    for _ in range(drawn.shape[1]):
        arms = [Arm(feedback[:count]) for feedback, count in zip(drawn, pulls, strict=True)]
        pulls[ranking(rule, arms)[0]] += 1
    return pulls


def games(problem: Problem, seeds: int, pulls: int = PULLS) -> Floats:
    """Feedback of shape (games, arms, pulls)."""
    return np.array(
        [
            [draw(np.random.default_rng([seed, number]), pulls) for number, draw in enumerate(problem.arms)]
            for seed in range(seeds)
        ]
    )


def losses(rule: ArmRule, problem: Problem, drawn: Floats) -> Losses:
    """Play every game."""
    best = int(drawn.max(axis=2).mean(axis=0).argmax())
    levels = np.array(
        [ErUcbStationary().level(draw(np.random.default_rng(0), LARGE)) for draw in problem.arms]
        if problem.stationary
        else np.full(len(problem.arms), np.nan)
    )
    pulls = np.array([play(rule, game) for game in drawn])
    found = [
        max(feedback[:count].max() for feedback, count in zip(game, counts, strict=True) if count)
        for game, counts in zip(drawn, pulls, strict=True)
    ]
    return Losses(
        drawn[:, best].max(axis=1) - np.array(found),
        (levels.max() - levels) @ pulls.T,
        pulls[:, best] / drawn.shape[2],
    )


def interval(values: Floats) -> str:
    """Mean ± half of its 95 % interval."""
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    return "—" if np.isnan(half) else f"{values.mean():.3g} ± {half:.2g}"


def table(problems: Sequence[Problem] = PROBLEMS, seeds: int = SEEDS) -> str:
    """A row for each problem and rule, in Markdown."""
    rows = ["| arms | rule | best value | extreme region | share of the best arm |", "|---|---|---|---|---|"]
    for problem in problems:
        drawn = games(problem, seeds)
        for name, rule in RULES.items():
            lost = losses(rule, problem, drawn)
            cells = map(interval, (lost.best_value, lost.extreme_region, lost.right_arm))
            rows.append(f"| {problem.name} | {name} | {' | '.join(cells)} |")
            print(rows[-1], flush=True)
    return "\n".join(rows)


if __name__ == "__main__":
    table()

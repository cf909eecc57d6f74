"""The gate: is the recipe's regret below the margin at the largest size, and does the comparison hold over the sizes?

Regret is the recipe's bits per byte less those of its best rival. Three questions, each with its own error held:

- **Passed?** regret <= margin where every rival's upper bound is (one-sided, 5 % each). Regret is that to one rival,
  the best; its own bound errs in 5 % of validations, whichever it is, so that no correction for several rivals is
  needed (an intersection-union test: Berger 1982, Technometrics 24(4)).
- **Failed?** regret > margin where some rival's lower bound is. Any of them may err, so that the 5 % are shared among
  them (Bonferroni).
- **Does it carry over?** No rival is better at one size and worse at another, both beyond noise (95 % intervals); and
  no difference that the recipe does not clearly win at the largest size grows with size to beyond the margin at the
  target.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from studies.validation.judgement import (
    RECIPE,
    TITLES,
    Bounds,
    CandidateName,
    CandidateResult,
    Difference,
    GateVerdict,
    Judgement,
    RivalTrend,
    RungJudgement,
    Sign,
)
from studies.validation.noise import Cell, Estimate, Key, moderated, pooled_variance, t_quantile
from studies.validation.trend import MIN_SIZES, fit_line

LEVEL = 0.95
POWER = 0.8
"""Chance of a decision for which the number of seeds is given."""
MOST_SEEDS = 1000


@dataclass(frozen=True, slots=True)
class Runs:
    """What was trained of one candidate at one size."""

    values: Mapping[int, float]
    """Bits per byte by seed, of runs that reached their end."""
    diverged: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Rung:
    """The runs of one size."""

    total_parameters: int
    runs: Mapping[CandidateName, Runs]
    """The recipe and every rival that is trained as another config than it."""


def judge(rungs: Sequence[Rung], margin: float, target_parameters: int | None) -> Judgement:
    """Judge a validation by what was trained; ``rungs`` ascend in size."""
    cells = _cells(rungs)
    estimates = moderated(cells)
    judged = tuple(_judge_rung(place, rung, estimates) for place, rung in enumerate(rungs))
    rivals = _rivals(rungs)
    trends = tuple(_trend(name, rungs, estimates, judged, target_parameters, len(rivals)) for name in rivals)
    verdict, reasons, seeds = _verdict(rungs, judged, trends, estimates, margin)
    variance = pooled_variance(cells.values())
    return Judgement(
        verdict=verdict,
        reasons=reasons,
        margin=margin,
        rungs=judged,
        trends=trends,
        regret=judged[-1].regret if judged else None,
        regret_at_target=_largest([trend.at_target for trend in trends if trend.at_target]),
        noise=None if variance is None else math.sqrt(variance / 2),
        seeds_needed=seeds,
    )


def _rivals(rungs: Sequence[Rung]) -> list[CandidateName]:
    return [*dict.fromkeys(name for rung in rungs for name in rung.runs if name != RECIPE)]


def _cells(rungs: Sequence[Rung]) -> dict[Key, Cell]:
    found: dict[Key, Cell] = {}
    for place, rung in enumerate(rungs):
        own = rung.runs[RECIPE].values
        for name, runs in rung.runs.items():
            pairs = tuple(own[seed] - value for seed, value in sorted(runs.values.items()) if seed in own)
            if name != RECIPE and pairs:
                found[place, name] = Cell(pairs)
    return found


def _judge_rung(place: int, rung: Rung, estimates: Mapping[Key, Estimate]) -> RungJudgement:
    there: dict[CandidateName, Estimate] = {
        name: estimates[place, name] for name in rung.runs if (place, name) in estimates
    }
    return RungJudgement(
        total_parameters=rung.total_parameters,
        candidates=tuple(_result(name, runs) for name, runs in rung.runs.items()),
        differences=tuple(_difference(name, estimate) for name, estimate in there.items()),
        best_rival=max(there, key=lambda name: there[name].mean, default=None),
        regret=_regret(list(there.values())),
    )


def _result(name: CandidateName, runs: Runs) -> CandidateResult:
    mean = fmean(runs.values.values()) if runs.values else None
    return CandidateResult(name=name, mean=mean, runs=len(runs.values), diverged=runs.diverged, missing=runs.missing)


def _difference(name: CandidateName, estimate: Estimate) -> Difference:
    level = (1 + LEVEL) / 2
    low, high = estimate.lower(level), estimate.upper(level)
    sign: Sign = "better" if high < 0 else "worse" if low > 0 else "noise"
    bounds = Bounds(estimate=estimate.mean, low=low, high=high)
    return Difference(rival=name, pairs=estimate.pairs, difference=bounds, sign=sign)


def _regret(estimates: Sequence[Estimate]) -> Bounds | None:
    """The recipe less its best rival, with the two one-sided bounds of the module's first two questions."""
    if not estimates:
        return None
    shared = 1 - (1 - LEVEL) / len(estimates)
    return Bounds(
        estimate=max(estimate.mean for estimate in estimates),
        low=max(estimate.lower(shared) for estimate in estimates),
        high=max(estimate.upper(LEVEL) for estimate in estimates),
    )


def _trend(
    name: CandidateName,
    rungs: Sequence[Rung],
    estimates: Mapping[Key, Estimate],
    judged: Sequence[RungJudgement],
    target_parameters: int | None,
    rivals: int,
) -> RivalTrend:
    places = [place for place in range(len(rungs)) if (place, name) in estimates]
    line = fit_line([rungs[place].total_parameters for place in places], [estimates[place, name] for place in places])
    signs = {difference.sign for rung in judged for difference in rung.differences if difference.rival == name}
    top = estimates.get((len(rungs) - 1, name))
    contested = top is not None and top.upper(LEVEL) > 0
    return RivalTrend(
        rival=name,
        stable=not {"better", "worse"} <= signs,
        per_doubling=line.slope_bounds(LEVEL) if line else None,
        at_target=line.at(target_parameters, LEVEL) if line and target_parameters else None,
        growing=contested and line is not None and line.grows(1 - (1 - LEVEL) / rivals),
    )


def _largest(bounds: Sequence[Bounds]) -> Bounds | None:
    if not bounds:
        return None
    ends = ((bound.estimate, bound.low, bound.high) for bound in bounds)
    estimate, low, high = (max(values) for values in zip(*ends, strict=True))
    return Bounds(estimate=estimate, low=low, high=high)


def _verdict(
    rungs: Sequence[Rung],
    judged: Sequence[RungJudgement],
    trends: Sequence[RivalTrend],
    estimates: Mapping[Key, Estimate],
    margin: float,
) -> tuple[GateVerdict, tuple[str, ...], int | None]:
    """The verdict, its reasons, and the seeds that would decide."""
    diverged = [_diverged(rung) for rung in rungs if rung.runs[RECIPE].diverged]
    if diverged:
        return "failed", tuple(diverged), None
    lacking = _lacking(rungs, judged)
    if lacking:
        return "undecided", tuple(lacking), None
    regret = judged[-1].regret
    assert regret is not None  # every rival has pairs there, or is known to have diverged
    said = f"at {judged[-1].total_parameters:,} parameters"
    if regret.low > margin:
        reason = f"{said} the recipe's regret is at least {regret.low:.4f} bits per byte, above the margin {margin:.4f}"
        return "failed", (reason, f"the best rival is {TITLES[judged[-1].best_rival or RECIPE]}"), None
    doubts = [*_doubts(judged, trends, margin)]
    if regret.high > margin:
        top = [estimate for (place, _), estimate in estimates.items() if place == len(rungs) - 1]
        seeds = seeds_needed(top, margin)
        bounds = f"between {regret.low:.4f} and {regret.high:.4f} bits per byte"
        reason = f"{said} the recipe's regret lies {bounds}, around the margin of {margin:.4f}"
        return "undecided", (reason, _seeds_words(seeds, len(rungs[-1].runs[RECIPE].values)), *doubts), seeds
    if doubts:
        return "undecided", tuple(doubts), None
    reason = f"{said} the recipe's regret is at most {regret.high:.4f} bits per byte, within the margin {margin:.4f}"
    return "passed", (reason, "no rival changes sides over the sizes beyond noise"), None


def _diverged(rung: Rung) -> str:
    runs = rung.runs[RECIPE]
    total = len(runs.values) + runs.diverged + runs.missing
    seeds = f"{runs.diverged} of {total} seeds"
    return f"the recipe's own training diverged at {rung.total_parameters:,} parameters, on {seeds}"


def _lacking(rungs: Sequence[Rung], judged: Sequence[RungJudgement]) -> list[str]:
    """What must be there before anything can be concluded."""
    found = [f"{len(rungs)} sizes are fewer than {MIN_SIZES}"] if len(rungs) < MIN_SIZES else []
    for rung, of in zip(rungs, judged, strict=True):
        size = f"at {rung.total_parameters:,} parameters"
        compared = {difference.rival for difference in of.differences}
        lacking = [name for name, runs in rung.runs.items() if not _is_there(name, runs, compared)]
        found += [f"{TITLES[name]} has no value to compare {size}; train it again" for name in lacking]
        if not lacking and not compared:
            found.append(f"{size} every rival diverged: there is nothing to compare with")
    return found


def _is_there(name: CandidateName, runs: Runs, compared: Collection[CandidateName]) -> bool:
    return bool(runs.values) if name == RECIPE else name in compared or _only_diverged(runs)


def _only_diverged(runs: Runs) -> bool:
    return runs.diverged > 0 and not runs.values and not runs.missing


def _doubts(judged: Sequence[RungJudgement], trends: Sequence[RivalTrend], margin: float) -> list[str]:
    """Why a comparison at the largest size may not carry over to others."""
    found = []
    for trend in trends:
        if not trend.stable:
            sides = f"the recipe is {_sides(judged, trend.rival)} than {TITLES[trend.rival]}, each beyond noise"
            found.append(f"{sides}: the ranking depends on size; add a size above")
        if trend.growing and trend.at_target is not None and trend.at_target.estimate > margin:
            carried = f"{trend.at_target.estimate:.4f} bits per byte at the target along a straight line"
            found.append(
                f"the regret to {TITLES[trend.rival]} grows with size and would be {carried}; add a size above"
            )
    return found


def _sides(judged: Sequence[RungJudgement], rival: CandidateName) -> str:
    words = [
        f"{difference.sign} at {rung.total_parameters:,}"
        for rung in judged
        for difference in rung.differences
        if difference.rival == rival and difference.sign != "noise"
    ]
    return " and ".join(words)


def seeds_needed(estimates: Sequence[Estimate], margin: float) -> int | None:
    """Seeds with which the gate would pass or fail with 80 % probability, were the differences those that were seen.

    Normal approximation of the t test's power, with t's own quantiles at each number of seeds; None beyond
    ``MOST_SEEDS``.
    """
    worst = max(estimates, key=lambda estimate: estimate.mean)
    passes = worst.mean < margin
    level = LEVEL if passes else 1 - (1 - LEVEL) / len(estimates)
    compared = estimates if passes else [worst]
    needed = 0
    for estimate in compared:
        distance = abs(margin - estimate.mean)
        found = next((seeds for seeds in range(2, MOST_SEEDS) if _decides(estimate, distance, level, seeds)), None)
        if found is None:
            return None
        needed = max(needed, found)
    return needed


def _decides(estimate: Estimate, distance: float, level: float, seeds: int) -> bool:
    degrees = estimate.degrees - (estimate.pairs - 1) + seeds - 1
    quantiles = t_quantile(level, degrees) + t_quantile(POWER, degrees)
    return quantiles * estimate.deviation / math.sqrt(seeds) <= distance


def _seeds_words(seeds: int | None, had: int) -> str:
    if seeds is None:
        return f"{MOST_SEEDS} seeds would not decide, were the differences those that were seen: they lie at the margin"
    more = max(seeds, had + 1)
    return f"about {more} seeds at the largest size would decide, instead of {had}, were the differences those seen"

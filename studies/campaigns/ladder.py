"""What each step of a campaign brought: rungs trained at the same fresh seeds, compared in pairs.

Every rung is compared with the one before and with the baseline. All of these differences are one family: Holm's
step-down p-values (1979, Scand. J. Stat. 6(2)) of paired t tests decide, so that the probability of any false
``improved`` or ``worse`` in the whole ladder is at most 5 %, and the intervals are Bonferroni's over the same family.
The paper's order of its steps is a second family of its own. Seeds are fresh, so that no rung profits from the luck by
which its values were chosen.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from studies.campaigns.judgement import (
    PAPER_SCORES,
    LadderJudgement,
    OrderVerdict,
    PaperSign,
    RungDifference,
    RungResult,
    RungVerdict,
    StepOrder,
    paper_name,
    paper_score,
)
from studies.validation.judgement import Bounds
from studies.validation.noise import t_quantile

ALPHA = 0.05
MIN_PAIRS = 3
"""Fewest pairs that are compared (assumed, as for methods: two tell next to nothing of their scatter)."""
POWER = 0.8
MOST_SEEDS = 1000
SMALLEST_ERROR = 1e-12
"""Of a difference, in shares of its values: runs that are the same bit by bit differ by rounding (derived)."""


@dataclass(frozen=True, slots=True)
class RungRuns:
    """What was trained of one rung."""

    label: str
    values: Mapping[int, float]
    """Bits per byte by seed, of runs that reached their end."""
    diverged: frozenset[int] = frozenset()
    """Seeds whose loss diverged."""
    missing: int = 0
    """Seeds without a value for another reason."""
    same_as_before: bool = False
    """Whether nothing was adopted since the rung before, so that it was not trained again and has its runs."""


def judge_ladder(rungs: Sequence[RungRuns], finished: bool) -> LadderJudgement:
    """Judge a ladder by what was trained; the first rung is the baseline.

    Args:
        rungs: in the order of the campaign.
        finished: whether every run has ended; without it numbers are given, and no verdicts.
    """
    trained = _trained(rungs)
    steps = [(trained[place - 1], trained[place]) for place in range(1, len(rungs))]
    asked = dict.fromkeys(pair for last in trained for pair in ((0, last),) if last != 0)
    asked |= dict.fromkeys((before, place) for before, place in steps if before != place)
    samples = {pair: _paired(rungs[pair[0]], rungs[pair[1]]) for pair in asked}
    tested = {pair: sample for pair, sample in samples.items() if len(sample) >= MIN_PAIRS}
    family = _family(list(tested.values()))
    tests = dict(zip(tested, family.tests, strict=True))
    found = {
        (first, second): _difference(rungs[first], rungs[second], sample, tests.get((first, second)), family, finished)
        for (first, second), sample in samples.items()
    }
    nothing = RungDifference(pairs=0, difference=None, p=None, verdict="same" if finished else None)
    results = []
    for place, rung in enumerate(rungs):
        step = None if place == 0 else found.get(steps[place - 1], nothing)
        from_baseline = None if place == 0 else found.get((0, trained[place]), nothing)
        results.append(_result(rung, step, from_baseline))
    return LadderJudgement(
        finished=finished,
        rungs=tuple(results),
        orders=_orders(rungs, trained, finished),
        tests=len(tests),
        level=family.level,
        remarks=tuple(_remarks(rungs)),
    )


def _trained(rungs: Sequence[RungRuns]) -> list[int]:
    """Of each rung the one whose runs it has: itself, or the last before it that adopted something."""
    places: list[int] = []
    for place, rung in enumerate(rungs):
        places.append(places[-1] if rung.same_as_before and places else place)
    return places


def _paired(first: RungRuns, second: RungRuns) -> list[float]:
    """The second rung less the first one, by seed."""
    return [second.values[seed] - first.values[seed] for seed in sorted(first.values.keys() & second.values.keys())]


@dataclass(frozen=True, slots=True)
class _Test:
    estimate: float
    bounds: Bounds
    """Simultaneous."""
    deviation: float
    """Of one difference."""
    p: float
    """Holm's."""


@dataclass(frozen=True, slots=True)
class _Family:
    tests: Sequence[_Test]
    level: float


def _family(samples: Sequence[Sequence[float]]) -> _Family:
    """Two-sided paired t tests of several differences, each of at least ``MIN_PAIRS`` pairs."""
    from scipy.special import stdtr  # a moment that only who reads a ladder need take

    from studies.formulas.comparisons.pairs import holm

    level = 1 - ALPHA / max(len(samples), 1)
    means = [fmean(sample) for sample in samples]
    errors = [_error(sample) for sample in samples]
    single = [
        2 * float(stdtr(len(sample) - 1, -abs(mean) / error))
        for sample, mean, error in zip(samples, means, errors, strict=True)
    ]
    tests = []
    for sample, mean, error, p in zip(samples, means, errors, holm(single), strict=True):
        half = error * t_quantile((1 + level) / 2, len(sample) - 1)
        bounds = Bounds(estimate=mean, low=mean - half, high=mean + half)
        tests.append(_Test(mean, bounds, error * math.sqrt(len(sample)), p))
    return _Family(tests, level)


def _error(sample: Sequence[float]) -> float:
    """Standard error of a mean."""
    own = stdev(sample) / math.sqrt(len(sample))
    return max(own, SMALLEST_ERROR * max(map(abs, sample)), 1e-300)


def _difference(
    first: RungRuns, second: RungRuns, sample: Sequence[float], test: _Test | None, family: _Family, finished: bool
) -> RungDifference:
    verdict, reasons = _verdict(first, second, sample, test)
    open_ = finished and verdict == "undetermined" and test is not None and test.p > ALPHA
    needed = seeds_needed(test, family.level) if open_ and test is not None else None
    if open_:
        reasons = (_seeds_words(needed, len(sample)), *reasons)
    return RungDifference(
        pairs=len(sample),
        difference=test and test.bounds,
        p=test and test.p,
        verdict=verdict if finished else None,
        reasons=reasons if finished else (),
        seeds_needed=needed,
    )


def _verdict(
    first: RungRuns, second: RungRuns, sample: Sequence[float], test: _Test | None
) -> tuple[RungVerdict, tuple[str, ...]]:
    """A lost pair is not lost by chance where a run diverged, so that it may keep a rung from having won."""
    worse, better = len(second.diverged & first.values.keys()), len(first.diverged & second.values.keys())
    if not second.values and worse >= MIN_PAIRS:
        return "worse", (f"all of its {worse} runs diverged, where those of {first.label} reached their end",)
    if not first.values and better >= MIN_PAIRS:
        return "improved", (f"all {better} runs of {first.label} diverged, where its own reached their end",)
    if test is None:
        return "undetermined", (f"{len(sample)} seeds in common are fewer than {MIN_PAIRS}",)
    if test.p > ALPHA:
        return "undetermined", ()
    won: RungVerdict
    if test.estimate < 0:
        won, lost = "improved", worse
        said = f"{worse} of its runs diverged where {first.label} did not"
    else:
        won, lost = "worse", better
        said = f"{better} runs of {first.label} diverged where its own did not"
    if lost:
        return "undetermined", (f"{said}: the seeds that are left would favour the one that lost runs",)
    return won, ()


def seeds_needed(test: _Test, level: float) -> int | None:
    """Seeds with which a difference would be decided with 80 % probability, were it and its scatter those seen.

    Normal approximation of the t test's power, with t's own quantiles; the level is that of the whole family's
    intervals, so that it is decided whatever the other differences are. None beyond ``MOST_SEEDS``.
    """

    def decides(seeds: int) -> bool:
        quantiles = t_quantile((1 + level) / 2, seeds - 1) + t_quantile(POWER, seeds - 1)
        return quantiles * test.deviation / math.sqrt(seeds) <= abs(test.estimate)

    found = MIN_PAIRS + bisect_left(range(MIN_PAIRS, MOST_SEEDS), True, key=decides)
    return found if found < MOST_SEEDS else None


def _seeds_words(needed: int | None, had: int) -> str:
    if needed is None:
        return f"{MOST_SEEDS} seeds would not decide, were the difference the one seen: it is next to zero"
    more = max(needed, had + 1)
    return f"about {more} seeds would decide, instead of {had}, were the difference the one seen"


def _result(rung: RungRuns, step: RungDifference | None, from_baseline: RungDifference | None) -> RungResult:
    score = paper_score(rung.label)
    return RungResult(
        label=rung.label,
        mean=_mean(list(rung.values.values())),
        runs=len(rung.values),
        diverged=len(rung.diverged),
        missing=rung.missing,
        step=step,
        from_baseline=from_baseline,
        paper_score=score,
        paper_sign=None if score is None or step is None else _PAPER_SIGNS.get(step.verdict),
    )


_PAPER_SIGNS: Mapping[RungVerdict | None, PaperSign] = {
    "improved": "same",
    "worse": "opposite",
    "undetermined": "undetermined",
}
"""Of a step, by its verdict: in the paper each of them improved."""


def _mean(values: Sequence[float]) -> Bounds | None:
    if len(values) < 2:
        return None
    mean = fmean(values)
    half = t_quantile(1 - ALPHA / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return Bounds(estimate=mean, low=mean - half, high=mean + half)


def _orders(rungs: Sequence[RungRuns], trained: Sequence[int], finished: bool) -> tuple[StepOrder, ...]:
    """The paper's steps from the one that brought most to the one that brought least, each against the next."""
    names = [*PAPER_SCORES]
    gains = {later: PAPER_SCORES[later] - PAPER_SCORES[before] for before, later in pairwise(names)}
    places = {paper_name(rung.label): place for place, rung in enumerate(rungs) if place > 0}
    steps = sorted((name for name in gains if name in places), key=lambda name: -gains[name])
    pairs = [(larger, smaller) for larger, smaller in pairwise(steps)]
    samples = [
        _gain_differences(_gains(rungs, trained, places[larger]), _gains(rungs, trained, places[smaller]))
        for larger, smaller in pairs
    ]
    known = [place for place, sample in enumerate(samples) if len(sample) >= MIN_PAIRS and any(sample)]
    tests = dict(zip(known, _family([samples[place] for place in known]).tests, strict=True))
    return tuple(
        StepOrder(
            larger=rungs[places[larger]].label,
            smaller=rungs[places[smaller]].label,
            gain=tests[place].bounds if place in tests else None,
            verdict=_order_verdict(tests.get(place), _lost_seeds(rungs, trained, places[larger], places[smaller]))
            if finished
            else None,
        )
        for place, (larger, smaller) in enumerate(pairs)
    )


def _gains(rungs: Sequence[RungRuns], trained: Sequence[int], place: int) -> dict[int, float]:
    """By how much a rung is better than the one before, by seed."""
    before, own = rungs[trained[place - 1]].values, rungs[trained[place]].values
    return {seed: before[seed] - own[seed] for seed in before.keys() & own.keys()}


def _gain_differences(larger: Mapping[int, float], smaller: Mapping[int, float]) -> list[float]:
    return [larger[seed] - smaller[seed] for seed in sorted(larger.keys() & smaller.keys())]


def _lost_seeds(rungs: Sequence[RungRuns], trained: Sequence[int], *later: int) -> bool:
    """Whether some rung of the gains diverged at a seed at which another of them reached its end."""
    asked = [rungs[trained[place]] for step in later for place in (step - 1, step)]
    return any(one.diverged & other.values.keys() for one in asked for other in asked)


def _order_verdict(test: _Test | None, lost_seeds: bool) -> OrderVerdict:
    """A seed is not lost by chance where a run diverged: those that are left decide no order."""
    if test is None or test.p > ALPHA or lost_seeds:
        return "undetermined"
    return "as_in_the_paper" if test.estimate > 0 else "the_other_way"


def _remarks(rungs: Sequence[RungRuns]) -> list[str]:
    """What was lost, and what a rung without anything adopted means."""
    found = []
    for rung in rungs:
        lost = [(len(rung.diverged), "diverged"), (rung.missing, "have no value")]
        words = ", ".join(f"{count} {what}" for count, what in lost if count)
        if words and not rung.same_as_before:
            found.append(f"{rung.label}: {words}; a lost seed is left out of every pair that it would belong to")
        if rung.same_as_before:
            found.append(f"{rung.label}: nothing was adopted, so that it is the rung before and has its runs")
    return found

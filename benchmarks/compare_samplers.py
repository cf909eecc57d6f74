"""Every sampler on the same replayed and planted problems: ``python -m benchmarks.compare_samplers``.

The tables that it prints stand in docs/benchmarks.md. Intervals are those of 95 % of a mean over seeds (bootstrap).
"""

import sys
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.planted_bowls import TRIALS, excesses
from benchmarks.replay_grids import needed, read_grids, resampled
from benchmarks.replay_surface import recording, threshold_of, tokens_needed
from benchmarks.surface import records
from model.errors import InvalidInput
from search.recorded import Recording
from search.samplers.methods import METHODS
from search.settings import SchedulerSpec

PROBLEMS = 20
SCHEDULERS = ("none", "asha", "hyperband", "curve")
RESAMPLES = 2000
SEEDS = {"gp": 5}
"""Seeds of samplers that take long; others have 20."""
NOT_COMPARED = frozenset({"grid", "cascade", "zero_cost"})
"""A grid over the whole table is random without repetition, and so is the replays' random; cascade needs families, and
zero_cost a size to search under."""


def main(kinds: list[str]) -> None:
    """Print a table for each problem."""
    kinds = kinds or [kind for kind in METHODS if kind not in NOT_COMPARED]
    grids, runs = read_grids(), records()
    if grids:
        table(
            "nine grids: trials until within 0.25 % of the best",
            kinds,
            lambda kind: needed(grids, kind, seeds=seeds_of(kind)),
        )
    for scheduler in SCHEDULERS:
        spec = SchedulerSpec(kind=scheduler)
        surface, threshold = recording(runs, spec), threshold_of(runs)
        title = f"recorded surface, scheduler {scheduler}: million tokens until within two seed deviations of the best"
        table(title, kinds, partial(million_tokens, surface, threshold, spec))
    table(
        f"planted bowls: excess after {TRIALS} trials, thousandths", kinds, lambda kind: 1e3 * excesses(kind, PROBLEMS)
    )


def seeds_of(kind: str) -> int:
    """How often a sampler searches each problem."""
    return SEEDS.get(kind, 20)


def million_tokens(surface: Recording, threshold: float, scheduler: SchedulerSpec, kind: str) -> NDArray[np.float64]:
    """Of each search, shape (1, seeds)."""
    return tokens_needed(surface, threshold, kind, scheduler, seeds_of(kind)) / 1e6


def table(title: str, kinds: list[str], measure: Callable[[str], NDArray[np.float64]]) -> None:
    """Print medians and means with intervals, the lowest mean first."""
    found = {}
    for kind in kinds:
        try:
            found[kind] = measure(kind)
            print(f"{kind} done", file=sys.stderr, flush=True)
        except InvalidInput as error:
            print(f"{kind} does not take it: {error}", flush=True)
    print(f"\n{title}\n\n| sampler | median | mean | 95 % interval | searches |\n|---|---|---|---|---|")
    for kind in sorted(found, key=lambda each: found[each].mean()):
        values, generator = found[kind], np.random.default_rng(0)
        means = [resampled(values, generator).mean() for _ in range(RESAMPLES)]
        low, high = np.quantile(means, [0.025, 0.975])
        print(
            f"| `{kind}` | {np.median(values):.3g} | {values.mean():.3g} | {low:.3g} to {high:.3g} | {values.size} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])

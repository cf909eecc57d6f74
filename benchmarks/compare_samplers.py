"""Every sampler on the same replayed and planted problems: ``python -m benchmarks.compare_samplers``.

The tables that it prints stand in docs/benchmarks.md. Intervals are those of 95 % of a mean over seeds (bootstrap).
"""

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.planted_bowls import TRIALS, excesses
from benchmarks.replay_grids import needed, read_grids, resampled
from benchmarks.replay_surface import recording, threshold_of, tokens_needed
from benchmarks.surface import records
from model.errors import InvalidInput
from search.samplers.methods import METHODS
from search.settings import SchedulerSpec

PROBLEMS = 20
RESAMPLES = 2000
NOT_COMPARED = frozenset({"grid", "zero_cost"})
"""A grid over the whole table is random without repetition, and so is the replays' random; zero_cost trains nothing."""


def main(kinds: list[str]) -> None:
    """Print a table for each problem."""
    kinds = kinds or [kind for kind in METHODS if kind not in NOT_COMPARED]
    grids, runs = read_grids(), records()
    if grids:
        table("nine grids: trials until within 0.25 % of the best", kinds, lambda kind: needed(grids, kind))
    for scheduler in ("none", "asha", "hyperband", "curve"):
        spec = SchedulerSpec(kind=scheduler)
        surface, threshold = recording(runs, spec), threshold_of(runs)
        title = f"recorded surface, scheduler {scheduler}: million tokens until within two seed deviations of the best"
        table(title, kinds, lambda kind: tokens_needed(surface, threshold, kind, spec) / 1e6)  # noqa: B023
    table(
        f"planted bowls: excess after {TRIALS} trials, thousandths", kinds, lambda kind: 1e3 * excesses(kind, PROBLEMS)
    )


def table(title: str, kinds: list[str], measure: Callable[[str], NDArray[np.float64]]) -> None:
    """Print medians and means with intervals, the lowest mean first."""
    found = {}
    for kind in kinds:
        try:
            found[kind] = measure(kind)
        except InvalidInput as error:
            print(f"{kind} does not take it: {error}", flush=True)
    print(f"\n{title}\n\n| sampler | median | mean | 95 % interval |\n|---|---|---|---|")
    for kind in sorted(found, key=lambda each: found[each].mean()):
        values, generator = found[kind], np.random.default_rng(0)
        means = [resampled(values, generator).mean() for _ in range(RESAMPLES)]
        low, high = np.quantile(means, [0.025, 0.975])
        print(f"| `{kind}` | {np.median(values):.3g} | {values.mean():.3g} | {low:.3g} to {high:.3g} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

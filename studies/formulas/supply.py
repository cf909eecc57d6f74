"""Changes to a study's spec that would supply what a law lacks: JSON merge patches (RFC 7396), where null removes.

A law sees trials and not the spec, so that a patch clears a name from ``space`` where it puts it into ``inner``.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from search.events import Value
from studies.formulas.fitting.fit import Interval
from studies.formulas.observations import Observation

Patch = dict[str, Any]
Side = Literal["low", "high", "both"]
MIN_RATES = 3
MOST_RATES = 8
"""More distinct rates than these were drawn and not listed (assumed)."""
MOST_TRIALS = 1_000_000
"""Of a study (docs/spec.md)."""


def tried(observations: Sequence[Observation], name: str) -> list[float]:
    """Distinct positive values of a number, ascending."""
    return sorted({value for row in observations if (value := row.number_of(name)) is not None and value > 0})


def trial_count(trials: float) -> Patch:
    """The patch that sets the number of trials."""
    return {"max_trial_count": int(min(max(math.ceil(trials), 1), MOST_TRIALS))}


def at_each(name: str, values: Sequence[Value]) -> Patch:
    """The patch that trains every outer point at each of ``values``."""
    return {"inner": {name: list(values)}, "space": {name: None}}


def more_trials(observations: Sequence[Observation], interval: Interval, end: float) -> Patch:
    """As many trials of the same design as bring an interval to one side of ``end``, if its estimate stays.

    Its width falls with the root of their number; ten times the present number at most.
    """
    half, distance = (interval.high - interval.low) / 2, abs(interval.estimate - end)
    times = (half / distance) ** 2 if distance > 0 else math.inf
    return trial_count(len(observations) * min(max(times, 1.1), 10.0))


def more_rates(observations: Sequence[Observation], side: Side, cells: int) -> Patch:
    """Further learning rates for each of ``cells`` networks, a factor of 2 beyond the tried ones."""
    rates = tried(observations, "learning_rate") or [3e-3]
    if len(rates) > MOST_RATES:
        rates = [float(rate) for rate in np.geomspace(rates[0], rates[-1], MOST_RATES // 2)]
    below = [rates[0] / 2] if side != "high" or len(rates) < MIN_RATES else []
    above = [rates[-1] * 2] if side != "low" or len(rates) < MIN_RATES else []
    wanted = [float(f"{rate:.3g}") for rate in (*below, *rates, *above)]
    seeds = max(len({row.parameters.get("seed") for row in observations}), 1)
    return {**at_each("learning_rate", wanted), **trial_count(cells * len(wanted) * seeds)}

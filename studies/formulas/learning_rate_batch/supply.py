"""What would decide an undetermined law, as changes to the study's spec (JSON merge patches, RFC 7396)."""

from collections.abc import Sequence
from typing import Any

from studies.formulas.observations import Observation

Patch = dict[str, Any]
MORE_STEPS = 2
"""Rates or batches added beyond an edge (assumed)."""
RATE_STEP, BATCH_STEP = 2.0, 4.0
"""Between rates and batches where the study tried one only (assumed)."""
SIZE_FACTOR = 3.0
"""Between sizes, and between lengths, of a joint law (assumed: an exponent of 0.3 then moves a rate by 1.4)."""
MIN_RATES, MIN_BATCHES = 5, 3
MAX_RATE, MAX_BATCH, MAX_VALUES, MAX_TRIALS = 10.0, 2.0**30, 1000, 1_000_000
"""What a spec allows."""


def rates(observations: Sequence[Observation], lower: bool, higher: bool) -> Patch:
    """The rates tried, with two further ones on each side where the best rate was not bracketed."""
    tried = _tried(observations, "learning_rate")
    wanted = _extended(tried, RATE_STEP, MORE_STEPS * lower, MORE_STEPS * higher)
    while len(wanted) < MIN_RATES and len(tried) < MIN_RATES:
        wanted = _extended(wanted, RATE_STEP, 1, 1)
    grid = sorted({float(f"{min(rate, MAX_RATE):.3g}") for rate in wanted})[:MAX_VALUES]
    return _inner("learning_rate", grid, observations, len(tried))


def batches(observations: Sequence[Observation], lower: int, higher: int) -> Patch:
    """The batches tried, with further ones below and above."""
    tried = _tried(observations, "batch_tokens")
    wanted = _extended(tried, BATCH_STEP if len(tried) < 2 else 0.0, lower, higher)
    grid = sorted({max(round(min(batch, MAX_BATCH)), 1) for batch in wanted})[:MAX_VALUES]
    return _inner("batch_tokens", grid, observations, len(tried))


def more_trials(observations: Sequence[Observation], further: int) -> Patch:
    """The same design with more trials."""
    return {"max_trial_count": _capped(len(observations) + further)}


def another_size(observations: Sequence[Observation], name: str, values: Sequence[float]) -> Patch:
    """The same design at a size beyond those tried, to be fitted together with them."""
    target = round(float(f"{SIZE_FACTOR * max(values):.3g}"))
    return {
        "space": {"width": None},
        "constraints": {name: {"target": target, "solve_for": "width"}},
        "max_trial_count": _capped(len(observations)),
    }


def another_length(observations: Sequence[Observation], values: Sequence[float]) -> Patch:
    """The same design at a length beyond those tried, to be fitted together with them."""
    tokens = round(float(f"{SIZE_FACTOR * max(values):.3g}"))
    lengths: Patch = {"train_bytes": None, "train_flops": None, "train_tokens": tokens}
    return {"proxy": lengths, "max_trial_count": _capped(len(observations))}


def _tried(observations: Sequence[Observation], name: str) -> list[float]:
    found = {value for row in observations if (value := row.number_of(name)) is not None and value > 0}
    return sorted(found)


def _extended(tried: Sequence[float], step: float, lower: int, higher: int) -> list[float]:
    """Values with further ones at both ends, as far apart in logs as those there are on average."""
    own = (tried[-1] / tried[0]) ** (1 / (len(tried) - 1)) if len(tried) > 1 else step
    below = [tried[0] / own**place for place in range(lower, 0, -1)]
    return [*below, *tried, *(tried[-1] * own**place for place in range(1, higher + 1))]


def _inner(name: str, grid: list[float] | list[int], observations: Sequence[Observation], tried: int) -> Patch:
    """Every architecture at each value of the grid; the trials grow with it."""
    trials = -(-len(observations) * len(grid) // max(tried, 1))
    return {"space": {name: None}, "inner": {name: grid}, "max_trial_count": _capped(trials)}


def _capped(trials: int) -> int:
    return min(max(trials, 1), MAX_TRIALS)

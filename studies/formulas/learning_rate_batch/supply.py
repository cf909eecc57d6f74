"""What would decide an undetermined law, as changes to the study's spec (JSON merge patches, RFC 7396)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from studies.formulas.observations import Observation

Patch = dict[str, Any]
MORE_STEPS = 2
"""Rates or batches added beyond an edge (assumed)."""
RATE_STEP, BATCH_STEP = 2.0, 4.0
"""Between rates and batches where the study tried one only (assumed)."""
SIZE_FACTOR = 3.0
"""Between sizes, and between lengths, of a joint law (assumed: an exponent of 0.3 then moves a rate by 1.4)."""
MIN_RATES = 5
MAX_SEEDS = 20
"""Above this another design is better than further seeds (assumed)."""
MIN_RATE, MAX_RATE, MAX_BATCH, MAX_VALUES, MAX_TRIALS = 1e-9, 10.0, 2.0**30, 1000, 1_000_000
"""What a spec allows."""


def rates(observations: Sequence[Observation], lower: bool, higher: bool) -> Patch | None:
    """The rates tried, with two further ones on each side where the best rate was not bracketed."""
    tried = _tried(observations, "learning_rate")
    wanted = _wide(_extended(tried, RATE_STEP, MORE_STEPS * lower, MORE_STEPS * higher), RATE_STEP, MIN_RATES)
    return _inner({"learning_rate": _rates(wanted)}, observations, len(tried))


def batches(observations: Sequence[Observation], lower: int, higher: int) -> Patch | None:
    """The batches tried, with further ones below and above."""
    tried = _tried(observations, "batch_tokens")
    return _inner({"batch_tokens": _batches(_extended(tried, BATCH_STEP, lower, higher))}, observations, len(tried))


def one_grid(observations: Sequence[Observation], count: int) -> Patch | None:
    """Every architecture at several rates and batches."""
    found = [_tried(observations, name) for name in ("learning_rate", "batch_tokens")]
    grids: dict[str, Sequence[float]] = {
        "learning_rate": _rates(_wide(found[0], RATE_STEP, MIN_RATES)),
        "batch_tokens": _batches(_wide(found[1], BATCH_STEP, count)),
    }
    return _inner(grids, observations, len(found[0]) * len(found[1]))


def more_seeds(observations: Sequence[Observation], further: int) -> Patch | None:
    """The same design with further seeds; None where more would be needed than is reasonable."""
    tried = len({row.parameters.get("seed") for row in observations})
    seeds = -(-tried * (len(observations) + further) // max(len(observations), 1))
    return _inner({"seed": list(range(seeds))}, observations, tried) if seeds <= MAX_SEEDS else None


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
    if not tried:
        return []
    own = (tried[-1] / tried[0]) ** (1 / (len(tried) - 1)) if len(tried) > 1 else step
    below = [tried[0] / own**place for place in range(lower, 0, -1)]
    return [*below, *tried, *(tried[-1] * own**place for place in range(1, higher + 1))]


def _wide(tried: Sequence[float], step: float, count: int) -> list[float]:
    """Values with further ones at both ends, until they are enough."""
    values = list(tried)
    while 0 < len(values) < count:
        values = _extended(values, step, 1, 1)
    return values


def _rates(values: Sequence[float]) -> list[float]:
    return sorted({float(f"{value:.3g}") for value in values if MIN_RATE <= value <= MAX_RATE})[:MAX_VALUES]


def _batches(values: Sequence[float]) -> list[int]:
    return sorted({round(value) for value in values if 1 <= value <= MAX_BATCH})[:MAX_VALUES]


def _inner(grids: Mapping[str, Sequence[float]], observations: Sequence[Observation], tried: int) -> Patch | None:
    """Every architecture at each point of the grids; the trials grow with them. None where there is no value to try."""
    if not all(grids.values()):
        return None
    trials = -(-len(observations) * math.prod(map(len, grids.values())) // max(tried, 1))
    return {
        "space": dict.fromkeys(grids),
        "inner": {name: list(grid) for name, grid in grids.items()},
        "max_trial_count": _capped(trials),
    }


def _capped(trials: int) -> int:
    return min(max(trials, 1), MAX_TRIALS)

"""What would decide a comparison, as changes to the study's spec."""

import math
from collections.abc import Sequence

from search.events import Value
from studies.formulas.comparisons.kinds import Comparison
from studies.formulas.observations import Observation
from studies.formulas.supply import MOST_RATES, Patch, at_each, trial_count, tried

MOST_SEEDS = 200
FEWEST_SEEDS = 4
MOST_OTHERS = 12


def more_seeds(observations: Sequence[Observation], times: float) -> Patch:
    """``times`` as many seeds of every method, the tried ones first."""
    seeds = _seeds(observations)
    wanted = min(max(math.ceil(times * max(len(seeds), 1)), FEWEST_SEEDS), MOST_SEEDS)
    fresh = (seed for seed in range(wanted + len(seeds)) if seed not in seeds)
    listed = [*seeds, *(seed for seed, _ in zip(fresh, range(max(wanted - len(seeds), 0)), strict=False))]
    return {**at_each("seed", listed), **trial_count(len(observations) * len(listed) / max(len(seeds), 1))}


def more_methods(observations: Sequence[Observation], comparison: Comparison, configurations: int = 1) -> Patch:
    """Every method of the paper, and those tried, at the same seeds of so many configurations.

    Parameters that tell further methods apart are held as in the paper where some run has them otherwise.
    """
    seeds = _seeds(observations)
    listed = seeds if len(seeds) >= FEWEST_SEEDS else list(range(FEWEST_SEEDS))
    methods = {name: [*values, *_others(observations, name, values)] for name, values in comparison.missing.items()}
    rates = len(tried(observations, "learning_rate"))
    at_each_method = len(listed) * (rates if 1 < rates <= MOST_RATES else 1)
    trials = configurations * at_each_method * math.prod(len(values) for values in methods.values())
    held = {name: [usual] for name, usual in comparison.usual.items() if _is_tried(observations, name, usual)}
    return {
        "inner": {**methods, **held, "seed": listed},
        "space": dict.fromkeys((*methods, *held, "seed")),
        **trial_count(trials),
    }


def _is_tried(observations: Sequence[Observation], name: str, usual: Value) -> bool:
    return any(row.parameters.get(name, row.attributes.get(name, usual)) != usual for row in observations)


def _others(observations: Sequence[Observation], name: str, values: Sequence[Value]) -> list[Value]:
    found = {row.parameters[name] for row in observations if name in row.parameters} - set(values)
    return sorted(found, key=str)[:MOST_OTHERS]


def _seeds(observations: Sequence[Observation]) -> list[int]:
    values = {row.parameters.get("seed") for row in observations}
    return sorted(value for value in values if isinstance(value, int) and not isinstance(value, bool))

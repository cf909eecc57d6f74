"""What would decide a comparison, as changes to the study's spec."""

import math
from collections.abc import Sequence

from studies.formulas.comparisons.kinds import Comparison
from studies.formulas.observations import Observation
from studies.formulas.supply import Patch, at_each, trial_count

MOST_SEEDS = 200
FEWEST_SEEDS = 4


def more_seeds(observations: Sequence[Observation], times: float) -> Patch:
    """``times`` as many seeds of every method, the tried ones first."""
    seeds = _seeds(observations)
    wanted = min(max(math.ceil(times * max(len(seeds), 1)), FEWEST_SEEDS), MOST_SEEDS)
    fresh = (seed for seed in range(wanted + len(seeds)) if seed not in seeds)
    listed = [*seeds, *(seed for seed, _ in zip(fresh, range(max(wanted - len(seeds), 0)), strict=False))]
    return {**at_each("seed", listed), **trial_count(len(observations) * len(listed) / max(len(seeds), 1))}


def more_methods(observations: Sequence[Observation], comparison: Comparison) -> Patch:
    """Every method of the paper at the seeds tried, or at the fewest that tell anything."""
    seeds = _seeds(observations)
    listed = seeds if len(seeds) >= FEWEST_SEEDS else list(range(FEWEST_SEEDS))
    patch = at_each("seed", listed)
    inner = {**patch["inner"], **comparison.missing}
    space = {**patch["space"], **dict.fromkeys(comparison.missing)}
    tried = max(len({comparison.label(row) for row in observations}), 1)
    grown = len(comparison.methods) / tried * len(listed) / max(len(seeds), 1)
    return {"inner": inner, "space": space, **trial_count(len(observations) * max(grown, 1.0))}


def _seeds(observations: Sequence[Observation]) -> list[int]:
    values = {row.parameters.get("seed") for row in observations}
    return sorted(value for value in values if isinstance(value, int) and not isinstance(value, bool))

"""Configs with the learning rate profiled out: runs that differ in rate and seed only are one config."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from studies.formulas.fitting.profiles import MIN_RATES, Profile, profile_cells
from studies.formulas.observations import FitContext, Observation, collect_runs, group_by

INNER = frozenset({"learning_rate", "seed"})
"""What differs between the runs of a config."""


@dataclass(frozen=True, slots=True)
class Config:
    """The runs of one config; ``cost`` is sign x objective, in units of the metric."""

    rows: tuple[Observation, ...]
    cost: float
    profiled: bool
    """False: too few rates; the cost is the lowest mean over seeds of a tried rate."""
    at_edge: bool
    """Whether the best rate lies beyond the tried ones, so that the cost is an upper bound."""


def profiled_configs(
    rows: Sequence[Observation], context: FitContext, key: Callable[[Observation], Hashable]
) -> list[Config]:
    """One config for each key; ``rows`` are runs that ended with a cost."""
    members = list(group_by(rows, key).values())
    rates = {row.number_of("learning_rate") for row in rows} - {None}
    if len(rates) < MIN_RATES or max(map(len, members)) < MIN_RATES:
        return [_config(group, None, context) for group in members]
    profiles = profile_cells([collect_runs(group, context) for group in members])
    found = [None] * len(members) if profiles is None else list(profiles.cells)
    return [_config(group, profile, context) for group, profile in zip(members, found, strict=True)]


def _config(group: Sequence[Observation], profile: Profile | None, context: FitContext) -> Config:
    if profile is not None:
        return Config(tuple(group), profile.cost, True, profile.edge != "none")
    by_rate = group_by(group, lambda row: row.number_of("learning_rate"))
    costs = [[cost for row in rows if (cost := context.cost(row)) is not None] for rows in by_rate.values()]
    return Config(tuple(group), min(math.fsum(values) / len(values) for values in costs if values), False, False)

"""The units of a vocabulary law: each network with its bits per byte at its own best learning rate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.events import Value
from studies.formulas.fitting.profiles import Edge, Profile, profile_cells
from studies.formulas.observations import FitContext, Observation, collect_runs, group_by, parameter_key

INNER = frozenset({"learning_rate", "seed"})
MIN_PROFILED = 0.8
"""Share of networks that must have a profile for the law to compare profiles (assumed, as for depth)."""


@dataclass(frozen=True, slots=True)
class Network:
    """One network; ``cost`` is sign x metric."""

    vocabulary: float
    parameters: dict[str, Value]
    cost: float
    variance: float
    edge: Edge
    log_rate: float | None
    runs: int


@dataclass(frozen=True, slots=True)
class Networks:
    """All networks that can be compared."""

    rows: tuple[Network, ...]
    profiled: bool
    """False: too few rates; costs are the best tried rate's mean over seeds."""
    left_out: int
    diverged: int
    noise: float | None
    """Standard deviation of one run, where profiles tell it."""

    @property
    def sizes(self) -> list[float]:
        """Vocabularies in ascending order, each once."""
        return sorted({row.vocabulary for row in self.rows})

    @property
    def runs(self) -> int:
        """Trials behind the networks."""
        return sum(row.runs for row in self.rows)

    @property
    def at_edge(self) -> int:
        """Networks whose best rate may lie beyond the tried ones."""
        return sum(row.edge != "none" for row in self.rows)


def build_networks(observations: Sequence[Observation], context: FitContext) -> Networks:
    """Profile the learning rate out of every network, or take the best tried one where that cannot be done.

    All observations have a vocabulary of at least one token.
    """
    members = list(group_by(observations, lambda row: parameter_key(row, INNER)).values())
    runs = [collect_runs(group, context) for group in members]
    diverged = sum(len(run.diverged) for run in runs)
    profiles = profile_cells(runs)
    if profiles is not None:
        pairs = [(group, cell) for group, cell in zip(members, profiles.cells, strict=True) if cell is not None]
        if len(pairs) >= MIN_PROFILED * len(members):
            found = tuple(_profiled(group, cell) for group, cell in pairs)
            return Networks(found, True, len(members) - len(found), diverged, profiles.noise)
    values = [(group, value) for group in members if (value := _best_tried(group, context)) is not None]
    found = tuple(_network(group, *value, "none", None) for group, value in values)
    return Networks(found, False, len(members) - len(found), diverged, None)


def _best_tried(group: Sequence[Observation], context: FitContext) -> tuple[float, float] | None:
    """Lowest mean cost over the seeds of one rate, and 0 for its unknown variance."""
    by_rate = group_by(group, lambda row: row.number_of("learning_rate"))
    costs = [[cost for row in rows if (cost := context.cost(row)) is not None] for rows in by_rate.values()]
    means = [float(np.mean(values)) for values in costs if values]
    return (min(means), 0.0) if means else None


def _profiled(group: Sequence[Observation], profile: Profile) -> Network:
    return _network(group, profile.cost, profile.cost_variance, profile.edge, profile.log_rate)


def _network(group: Sequence[Observation], cost: float, variance: float, edge: Edge, log_rate: float | None) -> Network:
    row = next((row for row in group if row.metrics), group[0])
    outer = {name: value for name, value in row.parameters.items() if name not in INNER}
    return Network(row.number_of("vocabulary_size") or 1.0, outer, cost, variance, edge, log_rate, len(group))

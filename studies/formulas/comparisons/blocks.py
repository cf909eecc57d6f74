"""Trials as a table: blocks that share everything but the method, by methods.

A block is one seed of one configuration of the other parameters. Each of its methods counts with the metric at its own
best learning rate where the rate varies, so that no method is judged at another one's rate.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from studies.formulas.comparisons.kinds import Comparison
from studies.formulas.fitting.profiles import Profile, profile_cells
from studies.formulas.observations import FitContext, Observation, collect_runs, group_by, parameter_key
from studies.records import TrialState

Floats = NDArray[np.float64]
RATE, SEED, TOKENS = "learning_rate", "seed", "train_tokens"
MIN_PROFILED = 0.8
"""Share of the cells that must have a profile (assumed, as for depth)."""
CONFIGURATIONS = 5
"""From so many configurations on these, and not their seeds, are the units that are paired (assumed): a method may suit
one configuration more than another, and seeds do not tell that."""
Rates = Literal["profiled", "common", "best_tried"]
"""``profiled``: each method at its own best; ``common``: all at one rate, or the same in a block; ``best_tried``."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Costs by block and method."""

    methods: tuple[str, ...]
    costs: Floats
    """Shape (blocks, methods); NaN where a block lacks a method."""
    configurations: NDArray[np.intp]
    """Of each block."""
    rates: Rates
    at_edge: int
    """Profiles that end at an edge of the tried rates."""
    cells: int
    lost: dict[str, int]
    """Failed or diverged runs of each method."""
    token_ratio: float = 1.0
    """Largest ratio between the training tokens of two complete runs of a block."""

    @property
    def by_configuration(self) -> bool:
        """Whether configurations are the units."""
        return len(np.unique(self.configurations)) >= CONFIGURATIONS


def build_blocks(observations: Sequence[Observation], comparison: Comparison, context: FitContext) -> Blocks:
    """Sort trials into blocks and methods."""
    rows = [(row, method) for row in observations if (method := comparison.label(row)) is not None]
    present = {method for _, method in rows}
    known = tuple(method for method in comparison.methods if method in present)
    methods = known + tuple(sorted(present - set(known)))
    labels = {id(row): method for row, method in rows}
    apart = comparison.parameters | {RATE}
    members = group_by([row for row, _ in rows], lambda row: parameter_key(row, apart))
    cells = [
        (key, method, [row for row in block if labels[id(row)] == method])
        for key, block in members.items()
        for method in methods
    ]
    cells = [cell for cell in cells if cell[2]]
    valued = _values([cell[2] for cell in cells], [cell[0] for cell in cells], context)
    places = {key: place for place, key in enumerate(members)}
    costs = np.full((len(members), len(methods)), np.nan)
    for (key, method, _), cost in zip(cells, valued.costs, strict=True):
        costs[places[key], methods.index(method)] = cost
    lost = dict.fromkeys(methods, 0)
    for row, method in rows:
        lost[method] += row.state is TrialState.FAIL
    configurations = [parameter_key(block[0], apart | {SEED}) for block in members.values()]
    numbers = {key: place for place, key in enumerate(dict.fromkeys(configurations))}
    index = np.array([numbers[key] for key in configurations], dtype=np.intp)
    ratio = max((_token_ratio(block) for block in members.values()), default=1.0)
    return Blocks(methods, costs, index, valued.rates, valued.at_edge, len(cells), lost, ratio)


def _token_ratio(block: Sequence[Observation]) -> float:
    complete = (row.number_of(TOKENS) for row in block if row.state is TrialState.COMPLETE)
    tokens = [count for count in complete if count]
    return max(tokens) / min(tokens) if tokens else 1.0


@dataclass(frozen=True, slots=True)
class _Values:
    costs: list[float]
    rates: Rates
    at_edge: int = 0


def _values(cells: Sequence[Sequence[Observation]], blocks: Sequence[Hashable], context: FitContext) -> _Values:
    """The cost of each cell, NaN where it has none."""
    if _at_common_rates(cells, blocks):
        return _Values([_mean_cost(cell, context) for cell in cells], "common")
    profiles = profile_cells([collect_runs(cell, context) for cell in cells])
    if profiles is not None:
        found: list[Profile | None] = list(profiles.cells)
        known = [profile for profile in found if profile is not None]
        if len(known) >= MIN_PROFILED * len(cells):
            costs = [np.nan if profile is None else profile.cost for profile in found]
            return _Values(costs, "profiled", sum(profile.edge != "none" for profile in known))
    return _Values([_best_tried(cell, context) for cell in cells], "best_tried")


def _at_common_rates(cells: Sequence[Sequence[Observation]], blocks: Sequence[Hashable]) -> bool:
    """Whether the methods of each block were trained at one and the same rate."""
    rates: dict[Hashable, set[float | None]] = {}
    for block, cell in zip(blocks, cells, strict=True):
        rates.setdefault(block, set()).update(row.number_of(RATE) for row in cell)
    return all(len(tried) == 1 for tried in rates.values())


def _mean_cost(cell: Sequence[Observation], context: FitContext) -> float:
    costs = [cost for row in cell if (cost := context.cost(row)) is not None]
    return float(np.mean(costs)) if costs else np.nan


def _best_tried(cell: Sequence[Observation], context: FitContext) -> float:
    means = [_mean_cost(rows, context) for rows in group_by(cell, lambda row: row.number_of(RATE)).values()]
    return min((mean for mean in means if not np.isnan(mean)), default=np.nan)

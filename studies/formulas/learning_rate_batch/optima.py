"""The best batch of each grid: the minimum, over the batch, of the cost at each batch's own best rate.

It is found as the best rate is (``fitting.profiles``), with wider windows: a bowl over the batch is flatter. Bowls of
several grids share curvature and asymmetry, as far as they are alike.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from studies.formulas.fitting.profiles import Edge, profile_cells
from studies.formulas.learning_rate_batch.cells import Cell
from studies.formulas.observations import Runs

BATCH_HALF_WIDTHS = (1.2, 1.8, 2.4)
"""Half-widths of the windows in log batch: factors 3.3, 6 and 11 (assumed; of three sets tried on planted surfaces,
all without bias, the middle one)."""
MIN_GRID_BATCHES = 4
"""Batches of a grid whose best one is fitted (assumed: a parabola and one to spare)."""


@dataclass(frozen=True, slots=True)
class GridOptimum:
    """The best batch of one grid. ``log_batch`` is a bound if ``edge`` is not ``none``."""

    group: int
    log_batch: float
    variance: float
    edge: Edge
    lowest: float
    """Log of the smallest batch."""
    highest: float
    """Log of the largest batch."""


def best_batches(cells: Sequence[Cell], half_widths: Sequence[float] = BATCH_HALF_WIDTHS) -> dict[int, GridOptimum]:
    """By group, of the grids with batches enough; empty where no bowl over the batch can be fitted."""
    groups: dict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.group].append(cell)
    grids = {group: own for group, own in groups.items() if len(own) >= MIN_GRID_BATCHES}
    runs = [
        Runs(tuple(cell.batch_tokens for cell in own), tuple(cell.profile.cost for cell in own), ())
        for own in grids.values()
    ]
    profiles = profile_cells(runs, half_widths)
    if profiles is None:
        return {}
    return {
        group: GridOptimum(group, found.log_rate, found.log_rate_variance, found.edge, found.lowest, found.highest)
        for group, found in zip(grids, profiles.cells, strict=True)
        if found is not None
    }

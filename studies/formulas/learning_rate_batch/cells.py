"""The cells of a learning rate x batch law: one fitted best rate for each grid and batch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.events import Value
from studies.formulas.fitting.covariates import covariate_columns
from studies.formulas.fitting.fit import Problem
from studies.formulas.fitting.grouping import INNER, grid_groups
from studies.formulas.fitting.profiles import Profile, Profiles, profile_cells
from studies.formulas.observations import FitContext, Observation, collect_runs, group_by

JITTER_SCALE = 0.12
"""Prior scale of the jitter of log lr* between cells (measured: 0.05 in nine Step Law grids; assumed twice that)."""
SPREAD_SCALE = 0.1
"""Prior scale of the spread of r between grids (measured: 0.12 in nine Step Law grids)."""
MIN_SPREAD_GRIDS = 3
"""With fewer grids their spread cannot be told; the interval is then that of the mean exponent of these grids."""
MIN_BATCHES = 2
SIZES = ("non_embedding_parameters", "total_parameters", "train_tokens")
"""What joint laws are laws of, beside the batch."""
MIN_POOLED_CELLS = 8
"""Cells of different architectures that are pooled when no architecture has two batches (assumed)."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One grid at one batch."""

    group: int
    batch_tokens: float
    profile: Profile
    parameters: dict[str, Value]
    runs: int
    rates: int
    sizes: Mapping[str, float]
    """Median over the runs of each of ``SIZES`` that they report."""


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that the law is fitted to."""

    cells: tuple[Cell, ...]
    """Profiled cells of grids with at least two batches, or of all grids when pooled."""
    profiles: Profiles | None
    splitting: tuple[str, ...]
    """Columns that tell grids apart."""
    grids: int
    unprofiled: int
    """Cells with fewer than three usable rates."""
    diverged: int
    """Runs that failed or diverged."""
    pooled: bool
    """Whether grids of one batch each share an intercept, with their parameters as covariates."""

    @property
    def batches(self) -> list[float]:
        """Distinct batches, ascending."""
        return sorted({cell.batch_tokens for cell in self.cells})


def build_table(observations: Sequence[Observation], context: FitContext) -> Table:
    """Group, profile and choose the cells."""
    rows = [row for row in observations if (row.number_of("batch_tokens") or 0) > 0]
    groups, splitting = grid_groups(rows)
    keyed = [(index, float(batch), members) for index, group in enumerate(groups) for batch, members in _batches(group)]
    runs = [collect_runs(members, context) for _, _, members in keyed]
    profiles = profile_cells(runs)
    found = profiles.cells if profiles is not None else (None,) * len(keyed)
    cells = [
        Cell(index, batch, profile, _outer(members[0]), len(run.rates), len(set(run.rates)), _sizes(members))
        for (index, batch, members), run, profile in zip(keyed, runs, found, strict=True)
        if profile is not None
    ]
    sizes = Counter(cell.group for cell in cells)
    wide = [cell for cell in cells if sizes[cell.group] >= MIN_BATCHES]
    pooled = not wide and len(cells) >= MIN_POOLED_CELLS
    diverged = sum(len(run.diverged) for run in runs)
    chosen = tuple(cells if pooled else wide)
    return Table(chosen, profiles, splitting, len(groups), len(keyed) - len(cells), diverged, pooled)


def _batches(group: Sequence[Observation]) -> list[tuple[float, list[Observation]]]:
    batches = group_by(group, lambda row: row.number_of("batch_tokens"))
    return sorted((float(str(batch)), members) for batch, members in batches.items())


def _outer(row: Observation) -> dict[str, Value]:
    return {name: value for name, value in row.parameters.items() if name not in INNER}


def _sizes(rows: Sequence[Observation]) -> dict[str, float]:
    found = {name: [value for row in rows if (value := row.number_of(name)) is not None] for name in SIZES}
    return {name: float(np.median(values)) for name, values in found.items() if values and min(values) > 0}


def build_problem(table: Table, reference: float) -> Problem:
    """Regression of log lr* on log(B / reference), with an intercept for each grid, or covariates when pooled."""
    cells = table.cells
    x = np.log(np.array([cell.batch_tokens for cell in cells]) / reference)
    columns = x[:, None]
    groups: NDArray[np.intp] = np.zeros(len(cells), dtype=np.intp)
    if table.pooled:
        _, extra = covariate_columns([cell.parameters for cell in cells], frozenset({"width"}))
        columns = np.column_stack([x, extra])
    else:
        groups = np.unique([cell.group for cell in cells], return_inverse=True)[1].astype(np.intp)
    grids = int(groups.max()) + 1
    return Problem(
        np.array([cell.profile.log_rate for cell in cells]),
        columns,
        np.array([cell.profile.log_rate_variance for cell in cells]),
        groups,
        JITTER_SCALE,
        SPREAD_SCALE if grids >= MIN_SPREAD_GRIDS else 0.0,
    )

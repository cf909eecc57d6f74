"""What joint laws are regressed on: best rates and batches with the size and length of their grids."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from studies.formulas.fitting.mixed import MixedProblem
from studies.formulas.learning_rate_batch.cells import JITTER_SCALE, SPREAD_SCALE, Cell
from studies.formulas.learning_rate_batch.optima import GridOptimum

Floats = NDArray[np.float64]
LEVEL_SCALE = 0.25
"""Prior scale of the jitter of ln lr* between grids, beyond size and length (assumed: a factor of 1.3)."""
VARIES = 1.25
"""Largest over smallest size or length that is still one (assumed)."""
SAME_SIZE = 1.1
"""Largest over smallest median that is still one size or length of a grid (assumed: rounding to whole steps)."""
MAX_FOLDS = 20
"""Sets into which more grids than this are put, of which one at a time is left out (assumed)."""
LENGTH = "train_tokens"


@dataclass(frozen=True, slots=True)
class JointTable:
    """Cells with what they are regressed on."""

    cells: tuple[Cell, ...]
    response: Floats
    """ln lr* of each cell; a censored one has its expectation."""
    size_name: str
    """The parameter count that N means here."""
    values: Mapping[str, Mapping[int, float]]
    """N and D, by name and group."""
    references: Mapping[str, float]
    """N, D and B about which the law is fitted."""
    varied: tuple[str, ...]
    """Which of N and D differ between grids."""
    optima: Mapping[int, GridOptimum]
    """Best batches, by group."""
    shift_error: float
    """Error that all ln lr* share."""

    @property
    def grid_ids(self) -> list[int]:
        """Groups, ascending."""
        return sorted({cell.group for cell in self.cells})

    @property
    def groups(self) -> NDArray[np.intp]:
        """Place of each cell's grid in ``grid_ids``, shape (cells,)."""
        return np.unique([cell.group for cell in self.cells], return_inverse=True)[1].astype(np.intp)

    def grid_columns(self, names: Sequence[str], groups: Sequence[int]) -> Floats:
        """ln(N / reference), ln(D / reference) of grids, shape (grids, names)."""
        columns = [np.log([self.values[name][group] for group in groups]) for name in names]
        centred = [column - math.log(self.references[name]) for name, column in zip(names, columns, strict=True)]
        return np.column_stack(centred) if centred else np.zeros((len(groups), 0))

    def cell_columns(self, names: Sequence[str]) -> Floats:
        """The same of each cell's grid, shape (cells, names)."""
        return self.grid_columns(names, [cell.group for cell in self.cells])

    @property
    def x(self) -> Floats:
        """ln(B / reference) of each cell."""
        return np.log([cell.batch_tokens for cell in self.cells]) - math.log(self.references["batch_tokens"])

    def rates(self, columns: Floats, slopes: Floats, group_variances: Floats | None = None) -> MixedProblem:
        """Regression of ln lr* on columns of shape (cells, k)."""
        return MixedProblem(
            self.response,
            columns,
            np.array([cell.profile.log_rate_variance for cell in self.cells]),
            self.groups,
            slopes,
            np.zeros(len(self.grid_ids)) if group_variances is None else group_variances,
            JITTER_SCALE,
            LEVEL_SCALE,
            SPREAD_SCALE,
        )

    def without(self, groups: Sequence[int]) -> "JointTable":
        """The table without some grids; references are kept."""
        return self.only(np.array([cell.group not in groups for cell in self.cells]))

    def only(self, kept: NDArray[np.bool_]) -> "JointTable":
        """The table with some cells; references and best batches are kept."""
        cells = tuple(cell for cell, own in zip(self.cells, kept, strict=True) if own)
        groups = {cell.group for cell in cells}
        optima = {group: found for group, found in self.optima.items() if group in groups}
        return replace(self, cells=cells, response=self.response[kept], optima=optima)


def build_joint_table(
    cells: Sequence[Cell],
    response: Floats,
    optima: Mapping[int, GridOptimum],
    shift_error: float,
    size_name: str,
    reference_batch: float,
) -> JointTable | None:
    """Collect what joint laws need; None where N or D is not known of every grid, or both are everywhere the same."""
    values = {name: sizes for name in (size_name, LENGTH) if (sizes := size_of_grids(cells, name)) is not None}
    varied = tuple(name for name, of in values.items() if max(of.values()) > VARIES * min(of.values()))
    if len(values) < 2 or not varied:
        return None
    references = {name: _middle(of) for name, of in values.items()}
    return JointTable(
        tuple(cells),
        response,
        size_name,
        values,
        {**references, "batch_tokens": reference_batch},
        varied,
        optima,
        shift_error,
    )


def size_of_grids(cells: Sequence[Cell], name: str) -> dict[int, float] | None:
    """A size or length of each grid, None where a grid has none or several."""
    found: dict[int, list[float]] = {}
    for cell in cells:
        if name not in cell.sizes:
            return None
        found.setdefault(cell.group, []).append(cell.sizes[name])
    if any(max(values) > SAME_SIZE * min(values) for values in found.values()):
        return None
    return {group: float(np.median(values)) for group, values in found.items()}


def _middle(values: Mapping[int, float]) -> float:
    """Geometric mean over grids, in two figures."""
    return float(f"{math.exp(float(np.mean(np.log(list(values.values()))))):.2g}")


def folds(groups: Sequence[int]) -> list[list[int]]:
    """Grids to leave out together: each by itself, as long as they are few."""
    return [list(groups[start::MAX_FOLDS]) for start in range(min(MAX_FOLDS, len(groups)))]

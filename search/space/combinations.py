"""Legal combinations of parameters that are tied together, and their exact distribution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.parameters import Choice
from search.space.budget import Solutions
from search.space.conditions import INACTIVE
from search.space.shapes import Floats, Ints

Rows = NDArray[np.int32]
Units = Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class Combinations:
    """Rows of legal values, in lexicographic order of ``names``, and their cumulated weights."""

    names: tuple[str, ...]
    values: tuple[tuple[Choice, ...], ...]
    """Every value of each name, legal or not."""
    rows: Rows
    """Shape (rows, names): indices into ``values``; :data:`INACTIVE` where a parameter does not exist."""
    cumulated: Floats
    """Shape (rows + 1,): weights summed up to each row; row i owns [cumulated[i], cumulated[i + 1])."""
    blocks: tuple[tuple[Ints, Ints], ...]
    """For each name, start and end of the rows that agree with a row up to that name."""
    solutions: Solutions | None = None
    """The networks of each row that meet a budget."""

    @classmethod
    def of(
        cls,
        names: tuple[str, ...],
        values: tuple[tuple[Choice, ...], ...],
        rows: Rows,
        weight: Floats,
        solutions: Solutions | None,
    ) -> "Combinations":
        """Combinations of rows in lexicographic order with these weights."""
        cumulated = np.concatenate([[0.0], np.cumsum(weight)])
        return cls(names, values, rows, cumulated, tuple(_blocks(rows, axis) for axis in range(len(names))), solutions)

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, units: Units, count: int) -> Ints:
        """The rows at some points of the unit cube: conditional quantiles, one name after the other."""
        start = np.zeros(count, dtype=np.int64)
        stop = np.full(count, len(self.rows), dtype=np.int64)
        for name, (first, last) in zip(self.names, self.blocks, strict=True):
            low, high = self.cumulated[start], self.cumulated[stop]
            found = np.searchsorted(self.cumulated, low + units[name] * (high - low), side="right") - 1
            row = np.clip(found, start, stop - 1)
            start, stop = first[row], last[row]
        return start

    def position(self, values: Mapping[str, Any]) -> dict[str, float]:
        """A point of the unit cube whose row holds ``values``; the middle for what does not exist."""
        unit: dict[str, float] = {}
        start, stop = 0, len(self.rows)
        for axis, name in enumerate(self.names):
            low, high = self.cumulated[start], self.cumulated[stop]
            value = self.values[axis].index(values[name]) if name in values else INACTIVE
            column = self.rows[start:stop, axis]
            first, last = np.searchsorted(column, value), np.searchsorted(column, value, side="right")
            start, stop = start + int(first), start + int(last)
            middle = (self.cumulated[start] + self.cumulated[stop]) / 2
            unit[name] = float((middle - low) / (high - low)) if name in values else 0.5
        return unit

    def row(self, index: int) -> dict[str, Any]:
        """The values of one row; without those that do not exist in it."""
        chosen = zip(self.names, self.values, self.rows[index].tolist(), strict=True)
        return {name: values[value] for name, values, value in chosen if value != INACTIVE}

    def indices(self, rows: Ints) -> dict[str, Rows]:
        """Which of its values each name has in some rows."""
        return {name: self.rows[rows, axis] for axis, name in enumerate(self.names)}

    def unreached(self) -> dict[str, tuple[Choice, ...]]:
        """Values that occur in no legal row, by name."""
        missing: dict[str, tuple[Choice, ...]] = {}
        for axis, (name, known) in enumerate(zip(self.names, self.values, strict=True)):
            present = set(self.rows[:, axis].tolist())
            absent = tuple(value for index, value in enumerate(known) if index not in present)
            if absent:
                missing[name] = absent
        return missing

    def solve(self, rows: Ints, asked: Floats) -> tuple[Floats | Ints, Ints]:
        """Value of the solved parameter and FFN width of some rows: those whose ratio is nearest to the one asked for.

        Distances are in logs; the smaller value wins a tie.
        """
        assert self.solutions is not None
        found = self.solutions
        starts = np.searchsorted(found.row, rows)
        counts = np.searchsorted(found.row, rows, side="right") - starts
        first = np.cumsum(counts) - counts
        point = np.repeat(np.arange(len(rows)), counts)
        candidate = np.arange(len(point)) - first[point] + starts[point]
        distance = np.abs(np.log(found.ffn_ratio[candidate] / asked[point]))
        nearest = candidate[np.lexsort((distance, point))[first]]
        return found.value[nearest], found.ffn_width[nearest]


def _blocks(rows: Rows, axis: int) -> tuple[Ints, Ints]:
    """Start and end of the rows that agree with each row in all columns up to ``axis``."""
    differs = (rows[1:, : axis + 1] != rows[:-1, : axis + 1]).any(axis=1)
    starts = np.concatenate([[0], np.flatnonzero(differs) + 1])
    block = np.concatenate([[0], np.cumsum(differs)])
    return starts[block], np.concatenate([starts[1:], [len(rows)]])[block]

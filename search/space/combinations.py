"""The legal combinations of parameters that a rule ties together, and their exact distribution."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.parameters import Parameter
from search.space.rules import Columns, InfeasibleSpace, Rule

MAX_COMBINATIONS = 200_000
"""Most combinations enumerated for one rule (assumed: a tenth of a second, a few megabytes)."""


@dataclass(frozen=True, eq=False)
class Combinations:
    """Rows of legal values, in lexicographic order of ``names``, and their cumulated weights."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    """Every value of each name, legal or not."""
    rows: NDArray[np.int32]
    """Shape (rows, names): indices into ``values``."""
    cumulated: NDArray[np.float64]
    """Shape (rows + 1,): weights summed up to each row; row i owns [cumulated[i], cumulated[i + 1])."""

    @classmethod
    def build(
        cls,
        rule: Rule,
        space: Mapping[str, Parameter],
        inner: Mapping[str, Sequence[Any]],
        fixed: Mapping[str, Any],
    ) -> "Combinations":
        """Enumerate the rows that are legal at every inner value.

        Raises:
            InfeasibleSpace: there is no such row, or there are too many to enumerate.
        """
        names = tuple(name for name in space if name in rule.names)
        check_size(names, math.prod(space[name].size or 1 for name in names))
        values = tuple(space[name].values() for name in names)
        weights = [np.asarray(space[name].weights()) for name in names]
        rows = _product([len(column) for column in values])
        outer = {
            name: np.asarray(column)[rows[:, axis]]
            for axis, (name, column) in enumerate(zip(names, values, strict=True))
        }
        legal = _legal(rule, outer, inner, fixed, len(rows))
        weight = np.ones(len(rows))
        for axis, axis_weights in enumerate(weights):
            weight *= (axis_weights / axis_weights.sum())[rows[:, axis]]
        return cls(names, values, rows[legal], np.concatenate([[0.0], np.cumsum(weight[legal])]))

    def __len__(self) -> int:
        return len(self.rows)

    def at(self, unit: Mapping[str, float]) -> dict[str, Any]:
        """The row at a point of the unit cube: conditional quantiles, one name after the other."""
        start, stop = 0, len(self.rows)
        for axis, name in enumerate(self.names):
            low, high = self.cumulated[start], self.cumulated[stop]
            found = np.searchsorted(self.cumulated, low + unit[name] * (high - low), side="right") - 1
            row = min(max(int(found), start), stop - 1)
            start, stop = self._slice(axis, int(self.rows[row, axis]), start, stop)
        return self.row(start)

    def position(self, values: Mapping[str, Any]) -> dict[str, float]:
        """A point of the unit cube whose row holds ``values``."""
        unit: dict[str, float] = {}
        start, stop = 0, len(self.rows)
        for axis, name in enumerate(self.names):
            low, high = self.cumulated[start], self.cumulated[stop]
            start, stop = self._slice(axis, self.values[axis].index(values[name]), start, stop)
            middle = (self.cumulated[start] + self.cumulated[stop]) / 2
            unit[name] = float((middle - low) / (high - low))
        return unit

    def row(self, index: int) -> dict[str, Any]:
        """The values of one row."""
        return {name: self.values[axis][self.rows[index, axis]] for axis, name in enumerate(self.names)}

    def unreached(self) -> dict[str, tuple[Any, ...]]:
        """Values that occur in no legal row, by name."""
        missing: dict[str, tuple[Any, ...]] = {}
        for axis, name in enumerate(self.names):
            present = set(self.rows[:, axis].tolist())
            absent = tuple(value for index, value in enumerate(self.values[axis]) if index not in present)
            if absent:
                missing[name] = absent
        return missing

    def _slice(self, axis: int, value: int, start: int, stop: int) -> tuple[int, int]:
        column = self.rows[start:stop, axis]
        return start + int(np.searchsorted(column, value)), start + int(np.searchsorted(column, value, side="right"))


def check_size(names: Sequence[str], size: int) -> None:
    """Check that a product of values can be enumerated.

    Raises:
        InfeasibleSpace: it has more than :data:`MAX_COMBINATIONS` elements.
    """
    if size > MAX_COMBINATIONS:
        raise InfeasibleSpace(
            "space",
            f"{' × '.join(names)} have {size} combinations, more than {MAX_COMBINATIONS}",
            "give them a step or choices",
        )


def _product(sizes: Sequence[int]) -> NDArray[np.int32]:
    """Every index tuple in lexicographic order, shape (product of sizes, axes)."""
    if not sizes:
        return np.zeros((1, 0), dtype=np.int32)
    grids = np.meshgrid(*(np.arange(size, dtype=np.int32) for size in sizes), indexing="ij")
    return np.stack([grid.ravel() for grid in grids], axis=1)


def _legal(
    rule: Rule, outer: Columns, inner: Mapping[str, Sequence[Any]], fixed: Mapping[str, Any], rows: int
) -> NDArray[np.bool_]:
    tied = [name for name in inner if name in rule.names]
    legal = np.ones(rows, dtype=bool)
    for combination in itertools.product(*(inner[name] for name in tied)):
        given = {**fixed, **dict(zip(tied, combination, strict=True))}
        constant = {name: np.full(rows, given[name]) for name in rule.names if name not in outer}
        allowed = rule.allows({**constant, **outer})
        if not allowed.any():
            raise rule.refusal({**constant, **outer})
        legal &= allowed
    if not legal.any():
        raise InfeasibleSpace(f"inner.{tied[0]}", "no point of the space is legal at every inner value", "remove some")
    return legal

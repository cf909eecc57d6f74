"""Points as rows of numbers: where they lie on each axis, and where the optimum is expected."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.events import Value
from search.laws import Law, expected_optimum
from search.parameters import CategoricalParameter, Parameter
from search.space import Space

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MIDDLE = 0.5
"""Where on an axis the optimum is expected when nothing is known: users choose a range around it (assumed)."""
APART = 0.5 / math.sqrt(2)
"""Column of the choice that is taken, where choices have no order: two of them are half an axis apart (assumed)."""


@dataclass(frozen=True)
class Axis:
    """One parameter: numbers lie on a line, also where they are choices; other choices lie equally far apart."""

    name: str
    parameter: Parameter

    @property
    def ordered(self) -> bool:
        """Whether the values are numbers."""
        if not isinstance(self.parameter, CategoricalParameter):
            return True
        return all(isinstance(each, int | float) and not isinstance(each, bool) for each in self.parameter.choices)

    @property
    def middle(self) -> list[float]:
        """The columns of the middle of the axis; choices without order have none, and lie all around it."""
        if self.ordered:
            return [MIDDLE]
        choices = self.parameter.values()
        return [APART / len(choices)] * len(choices)

    def columns(self, value: Value | None) -> list[float]:
        """One column of a number, one for each choice otherwise. None is a parameter whose condition does not hold."""
        if value is None:
            return self.middle
        if self.ordered:
            return [self._position(float(value))]
        return [APART * (value == choice) for choice in self.parameter.values()]

    def columns_at(self, unit: Floats) -> Floats:
        """The columns at places of the axis of the unit cube, shape (n, columns); about, where rules tie axes."""
        if self.ordered:
            return unit[:, None]
        choices = self.parameter.size or 1
        taken = np.minimum((unit * choices).astype(np.int64), choices - 1)
        return np.asarray(APART * (taken[:, None] == np.arange(choices)))

    def _position(self, value: float) -> float:
        """Where a number lies in [0, 1]; one outside of the range lies at its end."""
        if isinstance(self.parameter, CategoricalParameter):
            choices = np.sort(np.array(self.parameter.choices, dtype=np.float64))
            places = (np.arange(len(choices)) + 0.5) / len(choices)
            if choices[0] > 0:
                return float(np.interp(math.log(max(value, choices[0])), np.log(choices), places))
            return float(np.interp(value, choices, places))
        low, high = self.parameter.low, self.parameter.high
        return MIDDLE if low == high else self.parameter.position(min(max(value, low), high))


class Coordinates:
    """Turns the points of a space into rows.

    The optimum is expected in the middle of the ranges; with a law, it may instead lie where the law says, which
    differs from point to point with the size of its network.
    """

    def __init__(self, space: Space, law: Law | None) -> None:
        self._space = space
        self._law = law
        self._axes = [Axis(name, space.parameters[name]) for name in space.names]
        self.ordered_axes = np.array([axis.ordered for axis in self._axes])
        """Which axes are those of numbers."""
        self.ordered = np.array([axis.ordered for axis in self._axes for _ in axis.middle])
        """Which columns are those of numbers."""
        self._middle = self.row({})

    @property
    def expectations(self) -> int:
        """Number of places where the optimum may lie; the last one is the law's, where there is one."""
        return 1 if self._law is None else 2

    def row(self, values: Mapping[str, Value]) -> Floats:
        """Where a point lies, shape (columns,); a parameter without a value lies in the middle."""
        return np.array([column for axis in self._axes for column in axis.columns(values.get(axis.name))])

    def expected(self, values: Mapping[str, Value]) -> Floats:
        """Where the optimum is expected for a network like that of a point, shape (expectations, columns)."""
        if self._law is None:
            return self._middle[None]
        point = self._space.describe(values)
        optimum: dict[str, Any] = expected_optimum(self._law, self._space.settings, values, point.attributes)
        return np.stack([self._middle, self.row(optimum)])

    def rows_at(self, units: Floats) -> Floats:
        """About where the points at places of the unit cube lie, shape (n, columns), without making the points."""
        return np.concatenate([axis.columns_at(units[:, index]) for index, axis in enumerate(self._axes)], axis=1)

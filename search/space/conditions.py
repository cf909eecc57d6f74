"""Conditional parameters: a child exists only where each of its parents has one of some values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidInput
from search.parameters import Choice, Parameter
from search.space.shapes import Bools
from search.standard import closest

INACTIVE = -1
"""Index of the value of a parameter that does not exist in a row."""
MAX_PARENT_VALUES = 10_000
"""Most values of a parent: it is enumerated (assumed)."""

Indices = Mapping[str, NDArray[np.int32]]
"""By name, which of its values each row has."""
Asked = Mapping[str, Mapping[str, Sequence[Choice]]]
"""The section ``conditions`` of a spec: by child and parent, the values of the parent."""


@dataclass(frozen=True)
class Conditions:
    """Which parameters exist where."""

    allowed: Mapping[str, Mapping[str, frozenset[int]]] = field(default_factory=dict)
    """By child and parent, the indices of the parent's values at which the child exists."""

    @classmethod
    def build(cls, asked: Asked, space: Mapping[str, Parameter]) -> "Conditions":
        """Check the conditions against the space.

        Raises:
            InvalidInput: a name is not in the space, a parent is continuous or lacks a value, or a parameter depends on
                itself.
        """
        allowed = {}
        for child, parents in asked.items():
            if child not in space:
                raise _unknown(child, f"conditions.{child}", space)
            if not parents:
                raise InvalidInput(f"conditions.{child}", "names no parent", "name one, or leave the condition out")
            allowed[child] = {
                parent: _indices(parent, values, f"conditions.{child}.{parent}", space)
                for parent, values in parents.items()
            }
        conditions = cls(allowed)
        conditions._check_cycles()
        return conditions

    @property
    def parents(self) -> frozenset[str]:
        """Every parameter that another one depends on."""
        return frozenset(parent for parents in self.allowed.values() for parent in parents)

    def ancestors(self, name: str) -> set[str]:
        """All that ``name`` depends on, directly or by others."""
        parents = set(self.allowed.get(name, ()))
        return parents.union(*(self.ancestors(parent) for parent in parents))

    def ordered(self, names: Sequence[str]) -> tuple[str, ...]:
        """The same names, parents before their children and otherwise in their order."""
        placed: list[str] = []
        waiting = list(names)
        while waiting:
            ready = next(name for name in waiting if not self.ancestors(name) & set(waiting))
            waiting.remove(ready)
            placed.append(ready)
        return tuple(placed)

    def exists(self, name: str, indices: Indices, rows: int) -> Bools:
        """In which of some rows a parameter exists; ``indices`` holds its parents."""
        there = np.ones(rows, dtype=bool)
        for parent, allowed in self.allowed.get(name, {}).items():
            there &= np.isin(indices[parent], list(allowed))
        return there

    def existing(self, values: Mapping[str, Any], space: Mapping[str, Parameter]) -> tuple[str, ...]:
        """Which of the space's parameters exist at a point; of ``values`` only those of parents are read."""
        there: dict[str, bool] = {}
        for name in self.ordered(tuple(space)):
            there[name] = all(
                there[parent] and parent in values and space[parent].values().index(values[parent]) in allowed
                for parent, allowed in self.allowed.get(name, {}).items()
            )
        return tuple(name for name in space if there[name])

    def _check_cycles(self) -> None:
        for child in self.allowed:
            chain, here = [child], [*self.allowed[child]]
            while here:
                parent = here.pop()
                if parent == child:
                    reason = f"{child} depends on itself, through {' and '.join(chain)}"
                    raise InvalidInput(f"conditions.{child}", reason, "let one of them exist everywhere")
                if parent not in chain:
                    chain.append(parent)
                    here.extend(self.allowed.get(parent, ()))


def _indices(parent: str, values: Sequence[Choice], where: str, space: Mapping[str, Parameter]) -> frozenset[int]:
    if parent not in space:
        raise _unknown(parent, where, space)
    parameter = space[parent]
    if parameter.size is None:
        raise InvalidInput(where, f"{parent} is continuous, and a condition lists values", "give it a step or choices")
    if parameter.size > MAX_PARENT_VALUES:
        raise InvalidInput(where, f"{parent} has {parameter.size} values", "give it a larger step, or choices")
    positions: dict[Any, int] = {value: index for index, value in enumerate(parameter.values())}
    return frozenset(_index(parent, value, positions, where) for value in values)


def _index(parent: str, value: Choice, positions: Mapping[Any, int], where: str) -> int:
    if value in positions and not isinstance(value, bool):
        return positions[value]
    shown = ", ".join(map(str, list(positions)[:8])) + (" and others" if len(positions) > 8 else "")
    raise InvalidInput(where, f"{value!r:.60} is no value of {parent}", f"use one of {shown}")


def _unknown(name: str, where: str, space: Mapping[str, Parameter]) -> InvalidInput:
    guess = closest(name, space)
    remedy = f"did you mean {guess}?" if guess else f"use one of {', '.join(space) or 'the names of space'}"
    return InvalidInput(where, f"{name:.60} is not in the space", remedy)

"""The search space: every point of the unit cube is one legal point, so that nothing is drawn and thrown away.

Only constraints over continuous parameters, or over too many values, are left to be checked point by point; the space
says which share of its points they accept.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model.errors import InvalidInput
from search.constraints import Constraints
from search.events import Value
from search.parameters import Choice, Parameter
from search.space.acceptance import Acceptance, measure
from search.space.build import Enumerated, build_frame, enumerate_groups, section
from search.space.combinations import Combinations, Units
from search.space.conditions import Asked
from search.space.errors import InfeasibleSpace
from search.space.frame import Frame
from search.space.legal import Exclusion, check_size
from search.space.point import Point, describe, ffn_width_of, one_row
from search.space.rules import Columns, Rule
from search.space.shapes import Bools, Ints
from search.space.written import written_rules
from trainer.config import ProxySettings

MAX_DRAWS = 2**22
"""Most points drawn for an accepted one (assumed: far more than the smallest acceptance that a space may have)."""
MAX_BATCH = 4096
"""Most points drawn at once."""


@dataclass(frozen=True, eq=False)
class Space:
    """A checked search space; make it with :meth:`build`."""

    frame: Frame
    settings: ProxySettings
    rules: tuple[Rule, ...]
    """The limits and expressions that the user wrote."""
    groups: tuple[Combinations, ...]
    """The legal combinations of parameters that are tied together; the network's first."""
    checks: tuple[Rule, ...]
    """Those of ``rules`` that no combinations hold: points are drawn until one satisfies them."""
    exclusions: tuple[Exclusion, ...]
    """What each constraint leaves out, in the order in which they were applied."""
    acceptance: Acceptance
    """How many points of the cube satisfy the checks."""
    inner_points: tuple[Mapping[str, Value], ...]
    """The product of the inner grids, the last name running fastest."""

    @classmethod
    def build(
        cls,
        space: Mapping[str, Parameter],
        inner: Mapping[str, Sequence[Choice]],
        constraints: Constraints,
        settings: ProxySettings,
        conditions: Asked | None = None,
    ) -> "Space":
        """Check the parts against each other and enumerate the legal combinations.

        Raises:
            InvalidInput: a parameter is unknown, out of bounds or given twice, or a condition or an expression is not
                one.
            InfeasibleSpace: no point is legal; the reason names what would be needed.
        """
        frame = build_frame(space, inner, constraints, settings, conditions or {})
        rules = written_rules(constraints, frame)
        try:
            return cls._measured(frame, settings, rules, enumerate_groups(frame, rules))
        except InfeasibleSpace as error:
            raise InfeasibleSpace(section(error.field, frame), error.reason, error.remedy) from None

    @classmethod
    def _measured(
        cls, frame: Frame, settings: ProxySettings, rules: tuple[Rule, ...], enumerated: Enumerated
    ) -> "Space":
        inner_points = tuple(
            dict(zip(frame.inner, values, strict=True)) for values in itertools.product(*frame.inner.values())
        )
        groups, checks, exclusions = enumerated.groups, enumerated.checks, enumerated.exclusions
        space = cls(frame, settings, rules, groups, checks, exclusions, Acceptance(), inner_points)
        acceptance, checked = measure(frame, checks, space.columns)
        return replace(space, acceptance=acceptance, exclusions=(*exclusions, *checked))

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What the sampler varies."""
        return self.frame.parameters

    @property
    def inner(self) -> Mapping[str, Sequence[Choice]]:
        """Grids at which every outer point is trained."""
        return self.frame.inner

    @property
    def names(self) -> tuple[str, ...]:
        """The declared parameters, in the order of the spec: the axes of the unit cube."""
        return tuple(self.frame.parameters)

    @property
    def size(self) -> int | None:
        """Number of outer points; None when they are a continuum. Points that the checks refuse are counted."""
        sizes = [self.parameters[name].size for name in self._free]
        if any(size is None for size in sizes):
            return None
        return math.prod([*map(len, self.groups), *(size or 1 for size in sizes)])

    @property
    def excluded(self) -> dict[str, tuple[Value, ...]]:
        """Declared values that no legal point holds, by name."""
        return {name: values for group in self.groups for name, values in group.unreached().items()}

    def point(self, unit: Mapping[str, float]) -> Point:
        """The point at ``unit``, one number in [0, 1] for each name; legal but for the ``checks``.

        Uniform units give the declared distribution, conditioned on the constraints. The number of a parameter that
        does not exist at the point is not read.
        """
        units = {name: np.array([unit[name]]) for name in self.names}
        rows = [group.at(units, 1) for group in self.groups]
        values = {name: value for group, row in zip(self.groups, rows, strict=True) for name, value in _row(group, row)}
        indices = self._indices(rows)
        for name in self._free:
            if self.frame.conditions.exists(name, indices, 1)[0]:
                values[name] = self.parameters[name].quantile(unit[name])
        return self._solved(values, rows[0])

    def unit(self, values: Mapping[str, Value]) -> dict[str, float]:
        """A point of the unit cube that :meth:`point` maps to ``values``; 0.5 for what does not exist there."""
        unit = {
            name: self.parameters[name].position(values[name]) if name in values else 0.5  # type: ignore[arg-type]
            for name in self._free
        }
        for group in self.groups:
            unit.update(group.position(values))
        return unit

    def existing(self, values: Mapping[str, Value]) -> tuple[str, ...]:
        """The declared parameters that exist at a point, in the order of the spec."""
        return self.frame.conditions.existing(values, self.parameters)

    def draw(self, rng: np.random.Generator) -> Point:
        """A point of the declared distribution, conditioned on every constraint: the first accepted of some draws.

        Raises:
            InfeasibleSpace: none of very many draws was accepted.
        """
        drawn, batch = 0, 1
        while drawn < MAX_DRAWS:
            units = rng.random((batch, len(self.names)))
            accepted = np.flatnonzero(self.accepted(units))
            if len(accepted):
                return self.point(dict(zip(self.names, units[accepted[0]].tolist(), strict=True)))
            drawn, batch = drawn + batch, min(2 * batch, MAX_BATCH)
        raise InfeasibleSpace("constraints", f"none of {drawn} points satisfies them", "relax them")

    def accepts(self, values: Mapping[str, Value]) -> bool:
        """Whether a point satisfies the budget, the limits and the expressions, at every inner point."""
        columns: dict[str, Any] = one_row(self.frame, values)
        if self.frame.network.budget is not None:
            columns["ffn_width"] = ffn_width_of(self.frame, columns, values)
            if not columns["ffn_width"][0]:
                return False
        outer = {name: columns[name] for name in (*values, *({"ffn_width"} & columns.keys()))}
        return all(bool(self.frame.allows(rule, outer, 1)[0]) for rule in self.rules)

    def accepted(self, units: np.ndarray[Any, Any]) -> Bools:
        """Which points of the unit cube, shape (points, names), satisfy the checks."""
        legal = np.ones(len(units), dtype=bool)
        if not self.checks:
            return legal
        columns = self.columns(units)
        for rule in self.checks:
            legal &= self.frame.allows(rule, columns, len(units))
        return legal

    def columns(self, units: np.ndarray[Any, Any]) -> Columns:
        """What the checks read of many points of the unit cube, shape (points, names)."""
        count = len(units)
        by_name: Units = {name: units[:, axis] for axis, name in enumerate(self.names)}
        rows = [group.at(by_name, count) for group in self.groups]
        indices = self._indices(rows)
        columns: dict[str, Any] = {}
        read = frozenset().union(*(self.frame.ties(rule) for rule in self.checks), {"ffn_ratio"})
        for name in self.names:
            if name in indices:
                values, missing = np.asarray(self._values[name])[indices[name]], indices[name] < 0
            elif name in read:
                values = np.array([self.parameters[name].quantile(one) for one in by_name[name].tolist()])
                missing = ~self.frame.conditions.exists(name, indices, count)
            else:
                continue
            columns[name] = np.where(missing, self.frame.fixed[name], values) if missing.any() else values
        if self.frame.network.budget is not None:
            asked = columns.get("ffn_ratio", np.full(count, self.settings.ffn_ratio)).astype(np.float64)
            value, columns["ffn_width"] = self.groups[0].solve(rows[0], asked)
            columns[self.frame.network.budget.solved] = value
        return columns

    def grid_point(self, index: int) -> Point:
        """One of the ``size`` outer points of a finite space."""
        values: dict[str, Any] = {}
        rows = []
        for group in self.groups:
            index, row = divmod(index, len(group))
            rows.append(np.array([row]))
            values.update(group.row(row))
        for name in self._free:
            choices = self.parameters[name].values()
            index, choice = divmod(index, len(choices))
            values[name] = choices[choice]
        return self._solved(values, rows[0])

    def grid_size(self) -> int:
        """Number of points of the full grid.

        Raises:
            InvalidInput: a parameter is continuous, or the grid is too large to be shuffled.
        """
        for name, parameter in self.parameters.items():
            if parameter.size is None:
                raise InvalidInput(
                    f"space.{name}", "is continuous and a grid is finite", "give it a step or choices, or use qmc"
                )
        size = self.size or 0
        check_size(self.names, size)
        return size

    def trial(self, values: Mapping[str, Value], inner_index: int) -> Point:
        """An outer point's ``values`` at one inner point."""
        return self.describe({**values, **self.inner_points[inner_index]})

    def describe(self, values: Mapping[str, Value]) -> Point:
        """A point with the attributes of its network; what ``values`` leaves out comes from the settings."""
        return describe(self.frame, values)

    @property
    def _free(self) -> tuple[str, ...]:
        tied = {name for group in self.groups for name in group.names}
        return tuple(name for name in self.parameters if name not in tied)

    @property
    def _values(self) -> dict[str, tuple[Choice, ...]]:
        """Every value of each name that a group holds."""
        return {name: values for group in self.groups for name, values in zip(group.names, group.values, strict=True)}

    def _indices(self, rows: Sequence[Ints]) -> dict[str, Any]:
        """Which of its values each grouped parameter has in some rows of the groups."""
        found = zip(self.groups, rows, strict=True)
        return {name: index for group, row in found for name, index in group.indices(row).items()}

    def _solved(self, values: Mapping[str, Any], row: Ints) -> Point:
        declared = {name: values[name] for name in self.parameters if name in values}
        budget = self.frame.network.budget
        if budget is None:
            return self.describe(declared)
        asked = np.array([float(values.get("ffn_ratio", self.settings.ffn_ratio))])
        solved, ffn_width = self.groups[0].solve(row, asked)
        return describe(self.frame, {**declared, budget.solved: solved[0].item()}, ffn_width)


def _row(group: Combinations, row: Ints) -> Iterator[tuple[str, Any]]:
    yield from group.row(int(row[0])).items()

"""The search space: every point of the unit cube is one legal point, so that nothing is drawn and thrown away."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model.config import MAX_FFN_WIDTH
from model.errors import InvalidInput
from search.events import Value
from search.parameters import PARAMETER_NAMES, CategoricalParameter, Choice, Constraints, Parameter
from search.space.budget import Budget, Shapes, legal_widths
from search.space.combinations import Combinations, check_size
from search.space.rules import RATIO_SLACK, EqualBudget, InfeasibleSpace, Rule, WholeHeads, WholeSequences
from search.standard import check_name, check_parameter, check_value
from trainer.config import ProxySettings

BUDGET_NAMES = frozenset({"block", "depth", "width", "vocabulary_size", "head_dim", "kv_heads", "ffn_ratio"})
"""Parameters that a parameter count depends on."""

MAX_INNER_POINTS = 10_000
"""Most points of the inner grids' product (assumed: each outer point is trained at all of them)."""

FFN_STEP = 8
"""The FFN width is a multiple of this when no budget is solved (assumed)."""


@dataclass(frozen=True)
class Point:
    """One legal setting: ``values`` of the declared names and the solved width, ``attributes`` of the network."""

    values: Mapping[str, Value]
    attributes: Mapping[str, Value]


@dataclass(frozen=True, eq=False)
class Space:
    """A checked search space; make it with :meth:`build`."""

    parameters: Mapping[str, Parameter]
    inner: Mapping[str, tuple[Choice, ...]]
    settings: ProxySettings
    budget: Budget | None
    rules: tuple[Rule, ...]
    groups: tuple[Combinations, ...]
    """The legal combinations under each rule."""
    inner_points: tuple[Mapping[str, Value], ...] = field(default=({},))
    """The product of the inner grids, the last name running fastest."""

    @classmethod
    def build(
        cls,
        space: Mapping[str, Parameter],
        inner: Mapping[str, Sequence[Choice]],
        constraints: Constraints,
        settings: ProxySettings,
    ) -> "Space":
        """Check the parts against each other and enumerate the legal combinations.

        Raises:
            InvalidInput: a parameter is unknown, out of bounds or given twice.
            InfeasibleSpace: no point is legal; the reason names what would be needed.
        """
        budget = _budget(constraints)
        _check_names(space, inner, budget)
        _check_inner_size(inner)
        _check_values(space, inner, settings, budget)
        rules: tuple[Rule, ...] = (_shape_rule(space, settings, budget), WholeSequences())
        fixed = {**settings.model_dump(), "kv_heads": settings.kv_heads or 0}
        groups = tuple(_combinations(rule, space, inner, fixed) for rule in rules)
        points = tuple(dict(zip(inner, values, strict=True)) for values in itertools.product(*inner.values()))
        frozen = {name: tuple(choices) for name, choices in inner.items()}
        return cls(dict(space), frozen, settings, budget, rules, groups, points)

    @property
    def names(self) -> tuple[str, ...]:
        """The declared parameters, in the order of the spec: the axes of the unit cube."""
        return tuple(self.parameters)

    @property
    def size(self) -> int | None:
        """Number of outer points; None when they are a continuum."""
        sizes = [self.parameters[name].size for name in self._free]
        if any(size is None for size in sizes):
            return None
        return math.prod([*(len(group) for group in self.groups), *(size or 1 for size in sizes)])

    @property
    def excluded(self) -> dict[str, tuple[Value, ...]]:
        """Declared values that no legal point holds, by name."""
        return {name: values for group in self.groups for name, values in group.unreached().items()}

    def point(self, unit: Mapping[str, float]) -> Point:
        """The legal point at ``unit``, one number in [0, 1] for each name.

        Uniform units give the declared distribution, conditioned on the constraints.
        """
        values = {name: self.parameters[name].quantile(unit[name]) for name in self._free}
        for group in self.groups:
            values.update(group.at(unit))
        return self._solved(values)

    def unit(self, values: Mapping[str, Value]) -> dict[str, float]:
        """A point of the unit cube that :meth:`point` maps to ``values``."""
        unit = {name: self.parameters[name].position(values[name]) for name in self._free}  # type: ignore[arg-type]
        for group in self.groups:
            unit.update(group.position(values))
        return unit

    def grid_point(self, index: int) -> Point:
        """One of the ``size`` outer points of a finite space."""
        values: dict[str, Any] = {}
        for group in self.groups:
            index, row = divmod(index, len(group))
            values.update(group.row(row))
        for name in self._free:
            choices = self.parameters[name].values()
            index, choice = divmod(index, len(choices))
            values[name] = choices[choice]
        return self._solved(values)

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
        width, asked = int(self._value(values, "width")), float(self._value(values, "ffn_ratio"))
        shape = self._shape(values)
        widths = np.array([width])
        if self.budget is None:
            ffn_width = max(FFN_STEP, FFN_STEP * round(asked * width / FFN_STEP))
        else:
            low, high = self._ratio_bounds(asked)
            ffn_width = int(self.budget.ffn_width(shape, widths, np.array([low]), np.array([high]))[0])
        heads = width // int(shape.head_dim[0])
        attributes: dict[str, Value] = {
            "ffn_width": ffn_width,
            "ffn_ratio_asked": asked,
            "ffn_ratio_realised": ffn_width / width,
            "heads": heads,
            "kv_heads": int(shape.kv_heads[0]) or heads,
            "total_parameters": int(shape.total(widths, np.array([ffn_width]))[0]),
        }
        return Point(dict(values), attributes)

    @property
    def _free(self) -> tuple[str, ...]:
        tied = {name for group in self.groups for name in group.names}
        return tuple(name for name in self.parameters if name not in tied)

    def _value(self, values: Mapping[str, Value], name: str) -> Any:
        return values[name] if name in values else getattr(self.settings, name)

    def _shape(self, values: Mapping[str, Value]) -> Shapes:
        depth, vocabulary_size, head_dim, kv_heads = (
            np.array([self._value(values, name) or 0], dtype=np.int64)
            for name in ("depth", "vocabulary_size", "head_dim", "kv_heads")
        )
        pangu_pi = np.array([self._value(values, "block") == "pangu_pi"])
        settings = self.settings
        return Shapes(depth, vocabulary_size, head_dim, kv_heads, pangu_pi, settings.tied_head, settings.qk_norm)

    def _ratio_bounds(self, asked: float) -> tuple[float, float]:
        return _ratio_range(self.parameters.get("ffn_ratio")) or (asked / RATIO_SLACK, asked * RATIO_SLACK)

    def _solved(self, values: Mapping[str, Any]) -> Point:
        declared = {name: values[name] for name in self.parameters}
        if self.budget is None:
            return self.describe(declared)
        asked = float(self._value(values, "ffn_ratio"))
        low, high = self._ratio_bounds(asked)
        width, ffn_width = legal_widths(self.budget, self._shape(values), low, high)
        nearest = int(np.abs(np.log(ffn_width / width / asked)).argmin())
        return self.describe({**declared, "width": int(width[nearest])})


def _budget(constraints: Constraints) -> Budget | None:
    total = constraints.total_parameters
    return None if total is None else Budget(total.target, total.tolerance)


def _ratio_range(parameter: Parameter | None) -> tuple[float, float] | None:
    """The range of a continuous ratio; None for a single one or a few."""
    if parameter is None or isinstance(parameter, CategoricalParameter) or parameter.size is not None:
        return None
    return float(parameter.low), float(parameter.high)


def _shape_rule(space: Mapping[str, Parameter], settings: ProxySettings, budget: Budget | None) -> Rule:
    if budget is None:
        return WholeHeads()
    return EqualBudget(budget, settings.tied_head, settings.qk_norm, _ratio_range(space.get("ffn_ratio")))


def _check_names(space: Mapping[str, Parameter], inner: Mapping[str, Sequence[Choice]], budget: Budget | None) -> None:
    for name in inner:
        check_name(name, f"inner.{name}")
        if name in space:
            raise InvalidInput(f"inner.{name}", f"{name} is in the space as well", "keep one of the two")
        if budget is not None and name in BUDGET_NAMES:
            raise InvalidInput(
                f"inner.{name}",
                f"{name} changes the parameter count that constraints.total_parameters holds equal",
                "move it to space, or leave the constraint out",
            )
    if budget is not None and "width" in space:
        raise InvalidInput(
            "space.width",
            "width is what constraints.total_parameters solves for",
            "leave width out of the space, or leave the constraint out",
        )


def _check_inner_size(inner: Mapping[str, Sequence[Choice]]) -> None:
    size = math.prod(map(len, inner.values()))
    if size > MAX_INNER_POINTS:
        reason = f"{' × '.join(inner)} have {size} points, more than {MAX_INNER_POINTS}"
        raise InvalidInput("inner", reason, "shorten the grids")


def _check_values(
    space: Mapping[str, Parameter],
    inner: Mapping[str, Sequence[Choice]],
    settings: ProxySettings,
    budget: Budget | None,
) -> None:
    for name, parameter in space.items():
        check_parameter(name, parameter)
    for name, choices in inner.items():
        for index, choice in enumerate(choices):
            check_value(name, choice, f"inner.{name}.{index}")
        if len(set(choices)) != len(choices):
            raise InvalidInput(f"inner.{name}", "holds a value twice", "remove the repetition")
    _check_settings(settings)
    if budget is None:
        _check_ffn_width(space, inner, settings)


def _check_settings(settings: ProxySettings) -> None:
    for name, value in settings.model_dump().items():
        if name in PARAMETER_NAMES and value is not None:
            check_value(name, value, f"proxy.{name}")


def _check_ffn_width(
    space: Mapping[str, Parameter], inner: Mapping[str, Sequence[Choice]], settings: ProxySettings
) -> None:
    largest = math.prod(_largest(name, space, inner, settings) for name in ("width", "ffn_ratio"))
    if largest > MAX_FFN_WIDTH:
        raise InvalidInput(
            "space.ffn_ratio",
            f"the FFN width reaches {largest:g}, more than {MAX_FFN_WIDTH}",
            "lower width or ffn_ratio",
        )


def _largest(
    name: str, space: Mapping[str, Parameter], inner: Mapping[str, Sequence[Any]], settings: ProxySettings
) -> float:
    if name in inner:
        return float(max(inner[name]))
    parameter = space.get(name)
    if parameter is None:
        return float(getattr(settings, name))
    return float(max(parameter.choices) if isinstance(parameter, CategoricalParameter) else parameter.high)


def _combinations(
    rule: Rule, space: Mapping[str, Parameter], inner: Mapping[str, Sequence[Choice]], fixed: Mapping[str, Any]
) -> Combinations:
    """The legal rows of one rule; an error names the section in which the offending parameter stands."""
    try:
        group = Combinations.build(rule, space, inner, fixed)
        if rule.complete:
            _check_complete(rule, group, space, fixed, inner)
    except InfeasibleSpace as error:
        raise InfeasibleSpace(_section(error.field, space, inner), error.reason, error.remedy) from None
    return group


def _check_complete(
    rule: Rule,
    group: Combinations,
    space: Mapping[str, Parameter],
    fixed: Mapping[str, Any],
    inner: Mapping[str, Sequence[Choice]],
) -> None:
    for name, values in group.unreached().items():
        if isinstance(space[name], CategoricalParameter):
            one = CategoricalParameter(type="categorical", choices=(values[0],))
            Combinations.build(rule, {**space, name: one}, inner, fixed)


def _section(field_name: str, space: Mapping[str, Parameter], inner: Mapping[str, Sequence[Choice]]) -> str:
    if "." in field_name or field_name == "space":
        return field_name
    for section, names in (("space", space), ("inner", inner)):
        if field_name in names:
            return f"{section}.{field_name}"
    return f"proxy.{field_name}"

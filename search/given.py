"""A point as a user gives it, checked against the space and completed by what the space solves."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from model.errors import InvalidInput
from search.events import Value
from search.parameters import CategoricalParameter, IntParameter, Parameter
from search.space import Point, Space
from search.standard import closest

RELATIVE_ROUNDING = 1e-9
"""How far a continuous value may move when it goes through the unit cube and back (assumed: many times the rounding
of doubles)."""


def given_point(space: Space, values: Mapping[str, Any], field: str) -> Point:
    """The point of the space that has these values.

    Every declared name that exists there must be given; a solved one may be, and must then be what the space solves
    for.

    Args:
        space: where the point must lie.
        values: by name.
        field: where they stand, for messages.

    Raises:
        InvalidInput: a name is unknown or missing, a value is out of range, or no network or batch is legal there.
    """
    declared = {
        name: _value(parameter, values[name], f"{field}.{name}")
        for name, parameter in space.parameters.items()
        if name in values
    }
    _check_existing(space, declared, field)
    point = _completed(space, declared)
    for name in values:
        if name not in point.values:
            raise _unknown(space, name, field)
    if any(not _agree(point.values[name], declared[name]) for name in declared) or not space.accepts(point.values):
        reason = "no network or batch is legal at these values together, or a constraint excludes them"
        raise InvalidInput(field, reason, "see what the space holds with 'formulary space', and give a point of it")
    for name in values:
        if name not in declared and not _agree(point.values[name], values[name]):
            reason = f"{values[name]!r} is not {point.values[name]!r}, which the other values determine"
            raise InvalidInput(f"{field}.{name}", reason, "leave it out")
    return space.describe({**point.values, **declared})


def _check_existing(space: Space, declared: Mapping[str, Value], field: str) -> None:
    existing = space.existing(declared)
    missing = [name for name in existing if name not in declared]
    if missing:
        raise InvalidInput(f"{field}.{missing[0]}", "is missing", "give every parameter of the space")
    for name in declared:
        if name not in existing:
            reason = "does not exist where its parents have these values (see conditions)"
            raise InvalidInput(f"{field}.{name}", reason, "leave it out")


def _completed(space: Space, declared: Mapping[str, Value]) -> Point:
    """The point of the unit cube next to ``declared``; of illegal values, some other point."""
    with np.errstate(all="ignore"):
        unit = space.unit(declared)
    return space.point({name: place if math.isfinite(place) else 0.5 for name, place in unit.items()})


def _agree(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, int | float) and not isinstance(other, bool):
        return math.isclose(one, other, rel_tol=RELATIVE_ROUNDING, abs_tol=RELATIVE_ROUNDING)
    return type(one) is type(other) and bool(one == other)


def _value(parameter: Parameter, value: Any, field: str) -> Value:
    """A value as the parameter has it.

    Raises:
        InvalidInput: the parameter does not have it.
    """
    if isinstance(parameter, CategoricalParameter):
        found = next((choice for choice in parameter.choices if _agree(choice, value)), None)
        if found is None:
            listed = ", ".join(map(str, parameter.choices[:8])) + (", …" if len(parameter.choices) > 8 else "")
            raise InvalidInput(field, f"{value!r} is none of the choices", f"give one of {listed}")
        return found
    whole = isinstance(parameter, IntParameter)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        kind = "a whole number" if whole else "a number"
        raise InvalidInput(field, f"{value!r} is not {kind}", "write it without quotes and, if whole, without a point")
    if not parameter.low <= value <= parameter.high:
        reason = f"{value!r} lies outside of {parameter.low} to {parameter.high}"
        raise InvalidInput(field, reason, "give a value of the space, or clone the study with a wider range")
    if parameter.size is None:
        return float(value)
    nearest = parameter.quantile(parameter.position(value))
    if not math.isclose(nearest, value, rel_tol=RELATIVE_ROUNDING):
        raise InvalidInput(field, f"{value!r} lies between the steps", f"the nearest one is {nearest!r}")
    return nearest


def _unknown(space: Space, name: str, field: str) -> InvalidInput:
    if name in space.inner:
        return InvalidInput(
            f"{field}.{name}", "is in inner, and every point is trained at all of its values", "leave it out"
        )
    guess = closest(name, space.names)
    remedy = f"did you mean {guess}?" if guess else f"use {', '.join(space.names)}"
    return InvalidInput(f"{field}.{name}", "is not in the space", remedy)

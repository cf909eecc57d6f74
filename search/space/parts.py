"""The part of a space where some parameters have given values."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from search.events import Value
from search.parameters import Parameter
from search.space.acceptance import Acceptance, measure
from search.space.combinations import Combinations
from search.space.conditions import Conditions
from search.space.errors import InfeasibleSpace
from search.space.frame import Frame
from search.space.space import Space


def part_of(space: Space, values: Mapping[str, Value]) -> Space | None:
    """The part of ``space`` where some parameters, which exist everywhere, have these values; None when it is empty.

    They are no axes of it, nor are parameters that do not exist in it: its points lack them, and have the settings'
    values. Its distribution is that of the whole, conditioned on the values.
    """
    frame = _frame(space.frame, values)
    groups = tuple(_rows(group, values, frame.parameters) for group in space.groups)
    if not all(map(len, groups)):
        return None
    settings = space.settings.model_copy(update=dict(values))
    part = replace(space, frame=frame, settings=settings, groups=groups, exclusions=(), acceptance=Acceptance())
    try:
        acceptance, exclusions = measure(frame, part.checks, part.columns)
    except InfeasibleSpace:
        return None
    return replace(part, acceptance=acceptance, exclusions=exclusions)


def _frame(whole: Frame, values: Mapping[str, Value]) -> Frame:
    parameters: dict[str, Parameter] = {}
    allowed: dict[str, Mapping[str, frozenset[int]]] = {}
    for name in whole.conditions.ordered(tuple(whole.parameters)):
        parents = whole.conditions.allowed.get(name, {})
        met = all(
            whole.parameters[parent].values().index(values[parent]) in indices
            if parent in values
            else parent in parameters
            for parent, indices in parents.items()
        )
        if met and name not in values:
            parameters[name] = whole.parameters[name]
            left = {parent: indices for parent, indices in parents.items() if parent not in values}
            allowed.update({name: left} if left else {})
    declared = {name: parameter for name, parameter in whole.parameters.items() if name in parameters}
    return replace(whole, parameters=declared, fixed={**whole.fixed, **values}, conditions=Conditions(allowed))


def _rows(group: Combinations, values: Mapping[str, Value], parameters: Mapping[str, Parameter]) -> Combinations:
    """The rows that hold the values, without the columns of what is no parameter any more."""
    kept = np.ones(len(group.rows), dtype=bool)
    for axis, name in enumerate(group.names):
        if name in values:
            known = group.values[axis]
            kept &= (group.rows[:, axis] == known.index(values[name])) if values[name] in known else False
    axes = [axis for axis, name in enumerate(group.names) if name in parameters]
    names, choices = tuple(group.names[axis] for axis in axes), tuple(group.values[axis] for axis in axes)
    solutions = group.solutions
    if solutions is not None:
        found = solutions[kept[solutions.row]]
        solutions = replace(found, row=(np.cumsum(kept) - 1)[found.row])
    return Combinations.of(names, choices, group.rows[kept][:, axes], np.diff(group.cumulated)[kept], solutions)

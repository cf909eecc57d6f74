"""The point where the optimum is expected before any value is known: a search's first."""

import numpy as np

from search.events import Value
from search.laws import Law, expected_optimum
from search.parameters import CategoricalParameter, Parameter
from search.samplers.bowl.coordinates import MIDDLE, Axis
from search.space import Point, Space

JITTER = 0.15
"""How far from the middle of an axis the first point may lie when no law is given (assumed)."""
PASSES = 3
"""How often the law is asked: the batch that it gives moves its rate, and a changed network both (assumed)."""


def expected_point(space: Space, law: Law | None, generator: np.random.Generator) -> Point:
    """About the middle of the ranges; with a law, the middle and the learning rate and batch that the law expects.

    A choice without order is drawn. Where the space's checks refuse the point, an independent draw takes its place.
    """
    axes = [Axis(name, parameter) for name, parameter in space.parameters.items()]
    jitter = JITTER if law is None else 0.0
    middle = MIDDLE + generator.uniform(-jitter, jitter, len(axes))
    anywhere = generator.random(len(axes))
    places = zip(axes, middle.tolist(), anywhere.tolist(), strict=True)
    unit = {axis.name: ordered if axis.ordered else drawn for axis, ordered, drawn in places}
    if law is None:
        return _accepted(space, space.point(unit), generator)
    for _ in range(PASSES):
        point = space.point(unit)
        optimum = expected_optimum(law, space.settings, point.values, point.attributes)
        known = {name: value for name, value in optimum.items() if name in space.parameters}
        unit |= {name: _place(space.parameters[name], value) for name, value in known.items()}
    return _accepted(space, space.point(unit), generator)


def _accepted(space: Space, point: Point, generator: np.random.Generator) -> Point:
    return point if space.accepts(point.values) else space.draw(generator)


def _place(parameter: Parameter, value: float) -> float:
    """Where on its axis of the unit cube the value lies that is nearest to ``value``, in ratio where it can be."""
    if isinstance(parameter, CategoricalParameter):
        return parameter.position(min(parameter.choices, key=lambda choice: _distance(choice, value)))
    return parameter.position(min(max(value, parameter.low), parameter.high))


def _distance(choice: Value, value: float) -> float:
    """Of a choice that is a number."""
    number = float(choice)
    return abs(float(np.log(number / value))) if number > 0 else abs(number - value)

"""Short ways to write parameters, constraints and spaces."""

from search.constraints import Constraints
from search.parameters import CategoricalParameter, FloatParameter, IntParameter
from search.space import Space
from trainer.config import ProxySettings

PROXY = ProxySettings(train_bytes=100_000)


def integers(low, high, **more):
    return IntParameter(type="int", low=low, high=high, **more)


def floats(low, high, **more):
    return FloatParameter(type="float", low=low, high=high, **more)


def choices(*values):
    return CategoricalParameter(type="categorical", choices=values)


def build(space, inner=None, conditions=None, proxy=PROXY, **constraints):
    return Space.build(space, inner or {}, Constraints.model_validate(constraints), proxy, conditions or {})


def point_at(space, unit):
    return space.point(dict(zip(space.names, unit, strict=True)))

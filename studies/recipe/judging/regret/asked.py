"""What regret curves are about, and what they are made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.events import Value
from studies.recipe.basis import Basis
from studies.recipe.evidence import RegretCurve, RegretPoint
from studies.recipe.fields.shape import Frame
from studies.recipe.judging.bowls import DEVIATIONS, RateBowl
from studies.recipe.judging.cells import Cell
from studies.recipe.recipe import RecipeField

STEPS = 21
"""Points of a curve over a quantity."""
FACTOR = 4.0
"""To each side of the recommended value, where the data reach as far (assumed)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the curves are about."""

    basis: Basis
    cells: Sequence[Cell]
    bowl: RateBowl | None
    frame: Frame
    fields: Mapping[str, RecipeField]

    def field(self, name: str) -> RecipeField:
        """The recommended field."""
        return self.fields[name]

    def number(self, name: str) -> float:
        """Its value."""
        value = self.fields[name].value
        return float(value) if isinstance(value, int | float) else math.nan

    @property
    def sign(self) -> float:
        """Turns the objective into a cost."""
        return self.basis.context.sign


def unknown(asked: Asked, name: str, why: str) -> RegretCurve:
    """A curve that nothing is known of."""
    value = asked.field(name).value
    return RegretCurve(name=name, recommended=value, metric=asked.basis.metric, basis=f"unknown: {why}")


def curve(asked: Asked, name: str, points: Sequence[RegretPoint], basis: str) -> RegretCurve:
    """A curve about the recommended value of a field."""
    value = asked.field(name).value
    return RegretCurve(name=name, recommended=value, metric=asked.basis.metric, points=tuple(points), basis=basis)


def point(value: Value, excess: float, error: float) -> RegretPoint:
    """A point with the interval of its standard error."""
    half = DEVIATIONS * error
    return RegretPoint(value=value, excess=excess, low=excess - half, high=excess + half)


def spread(value: float, domain: tuple[float, float]) -> list[float]:
    """Values within ``FACTOR`` and the data, evenly in logs, the given one among them."""
    low, high = max(domain[0], value / FACTOR), min(domain[1], value * FACTOR)
    return sorted({*np.geomspace(low, high, STEPS).tolist(), value}) if low < high else [value]

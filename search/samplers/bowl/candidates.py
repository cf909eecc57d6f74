"""The points among which the next one is chosen: all of a small space, else spread ones and some near the best."""

from collections.abc import Iterator, Mapping

import numpy as np

from search.events import Value
from search.samplers.bowl.coordinates import Bools, Floats
from search.space import Point, Space

MAX_LISTED = 2048
"""Largest finite space of which every point is a candidate (assumed)."""
SPREAD = 256
"""Candidates all over a larger space, drawn once (assumed; a power of 2, which Sobol's sequence wants)."""
NEAR = 96
"""Places near the best points, drawn for each suggestion (assumed)."""
STEPS = (0.02, 0.05, 0.15)
"""Standard deviations of a step away from a best point, in lengths of an axis (assumed)."""


class Candidates:
    """Legal points of a space; which ones follows from the seed alone.

    Args:
        space: where they lie.
        ordered: which of its axes are those of numbers, shape (names,); between the values of others no step is short.
        seed: of the draws.
    """

    def __init__(self, space: Space, ordered: Bools, seed: int) -> None:
        self._space, self._ordered = space, ordered
        self.complete = space.size is not None and space.size <= MAX_LISTED
        """Whether every point of the space is among the spread ones."""
        generator = np.random.default_rng([seed, 0])
        self.spread = list(self._listed() if self.complete else self._drawn(generator))

    def _listed(self) -> Iterator[Point]:
        points = map(self._space.grid_point, range(self._space.size or 0))
        return (point for point in points if self._space.accepts(point.values))

    def _drawn(self, generator: np.random.Generator) -> Iterator[Point]:
        """Points of a scrambled Sobol sequence; where few of them are accepted, independent draws as well."""
        from scipy.stats import qmc  # half a second that other samplers need not take

        units = qmc.Sobol(len(self._space.names), scramble=True, rng=generator).random(SPREAD)
        accepted = units[self._space.accepted(units)]
        yield from map(self.at, accepted)
        for _ in range(SPREAD // 4 - len(accepted)):
            yield self._space.draw(generator)

    def at(self, unit: Floats) -> Point:
        """The point at a place of the unit cube, shape (names,)."""
        return self._space.point(dict(zip(self._space.names, unit.tolist(), strict=True)))

    def near(self, values: Mapping[str, Value], count: int, generator: np.random.Generator) -> Floats:
        """Up to ``count`` accepted places of the unit cube a step away from a point, along some of the axes.

        Shape (places, names). Along an axis without order the step leads anywhere.
        """
        names = self._space.names
        unit = self._space.unit(values)
        start = np.array([unit[name] for name in names])
        moved = generator.random((count, len(names))) < max(0.5, 1 / len(names))
        steps = generator.normal(0.0, 1.0, (count, len(names))) * generator.choice(STEPS, (count, 1))
        anywhere = np.where(moved, generator.random((count, len(names))), start)
        units = np.where(self._ordered, np.clip(start + steps * moved, 0.0, 1.0), anywhere)
        return np.asarray(units[self._space.accepted(units)])

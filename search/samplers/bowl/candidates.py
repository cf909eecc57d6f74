"""The points among which the next one is chosen: all of a small space, else spread ones and some near the best."""

from collections.abc import Iterator, Mapping

import numpy as np

from search.events import Value
from search.samplers.bowl.coordinates import Floats
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
    """Legal points of a space; which ones follows from the seed alone."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self.complete = space.size is not None and space.size <= MAX_LISTED
        """Whether every point of the space is among the spread ones."""
        self.spread = list(self._everywhere(np.random.default_rng([seed, 0])))

    def _everywhere(self, generator: np.random.Generator) -> Iterator[Point]:
        if self.complete:
            yield from map(self._space.grid_point, range(self._space.size or 0))
            return
        from scipy.stats import qmc  # half a second that other samplers need not take

        for unit in qmc.Sobol(len(self._space.names), scramble=True, rng=generator).random(SPREAD):
            yield self.at(unit)

    def at(self, unit: Floats) -> Point:
        """The legal point at a place of the unit cube, shape (names,)."""
        return self._space.point(dict(zip(self._space.names, unit.tolist(), strict=True)))

    def near(self, values: Mapping[str, Value], count: int, generator: np.random.Generator) -> Floats:
        """Places of the unit cube a step away from a point, along some of the axes, shape (count, names)."""
        unit = self._space.unit(values)
        names = self._space.names
        start = np.array([unit.get(name, 0.5) for name in names])
        moved = generator.random((count, len(names))) < max(0.5, 1 / len(names))
        steps = generator.normal(0.0, 1.0, (count, len(names))) * generator.choice(STEPS, (count, 1))
        return np.asarray(np.clip(start + steps * moved, 0.0, 1.0))

"""What all samplers that choose by outcome have in common: seeds of their own for each ask, and legal points."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from search.events import Value
from search.problem import SearchProblem, Values
from search.space import Point

MAX_REFUSED = 20
"""Choices of a sampler that may lie outside the space's checks, one after the other (assumed)."""
DIGITS = 12
"""Decimals of a unit (derived: few enough that the way to a parameter's value and back ends where it began)."""


class AdaptiveSampler(ABC):
    """A sampler whose points follow from the seed, their index and what it was told, and from nothing else.

    So a search that goes on from its rows neither repeats its draws nor depends on how often it was interrupted.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self._space = problem.space
        self._names = problem.space.names
        self._seed = problem.sampler.seed

    def point(self, outer: int, attempt: int = 0) -> Point:
        """Ask for a point; one that was asked for before under this index has not been used.

        A choice that the space's checks refuse (limits, expressions) is made again, and in the end drawn.
        """
        for again in range(MAX_REFUSED):
            point = self._ask(outer, seed_of(self._seed, outer, attempt, again))
            if not self._space.checks or self._space.accepts(point.values):
                return point
        point = self._space.draw(np.random.default_rng(seed_of(self._seed, outer, attempt, MAX_REFUSED)))
        self.restore(outer, point.values)
        return point

    @abstractmethod
    def _ask(self, outer: int, seed: int) -> Point:
        """Choose a point, and expect to be told of it."""

    @abstractmethod
    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Expect to be told of a point that this sampler has not chosen, or not in this process."""

    @abstractmethod
    def tell(self, outer: int, values: Values | None) -> None:
        """Learn the objectives of an outer point; None when it failed."""

    def _unit(self, values: Mapping[str, Value]) -> dict[str, float]:
        """Where ``values`` lie in the cube: all that the rows can tell of a choice."""
        return {name: round(axis, DIGITS) for name, axis in self._space.unit(values).items()}


def seed_of(*parts: int) -> int:
    """A seed of 32 bits from whole numbers, as different as NumPy's ``SeedSequence`` makes it; trailing zeros of
    attempts do not count.
    """
    kept = list(parts)
    while len(kept) > 2 and kept[-1] == 0:
        kept.pop()
    return int(np.random.SeedSequence(kept).generate_state(1)[0])

"""Declared designs: each point is a function of the seed and its index alone, so that inference stays valid."""

from collections.abc import Mapping

import numpy as np

from search.events import Value
from search.problem import SearchProblem, Values
from search.space import Point

MAX_STRIDE = 2**14
"""Most points of a sequence that are made at once (assumed: where few are accepted, many are looked at)."""


class DeclaredDesign:
    """A design that ignores outcomes."""

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Nothing to learn: the design is declared."""

    def tell(self, outer: int, values: Values | None) -> None:
        """Nothing to learn: the design is declared."""


class RandomDesign(DeclaredDesign):
    """Independent draws of the declared distribution, conditioned on every constraint."""

    def __init__(self, problem: SearchProblem) -> None:
        self._space = problem.space
        self._seed = problem.sampler.seed

    def point(self, outer: int, attempt: int = 0) -> Point:
        """The first accepted point of a generator of its own, seeded by (seed, index, attempt)."""
        return self._space.draw(np.random.default_rng([self._seed, outer, *([attempt] if attempt else [])]))


class QmcDesign(DeclaredDesign):
    """A scrambled Sobol sequence (Owen, SciPy's ``qmc.Sobol``): even coverage from few points."""

    def __init__(self, problem: SearchProblem) -> None:
        from scipy.stats import qmc  # half a second that other designs need not take

        self._space = problem.space
        self._further = RandomDesign(problem)
        self._sequence = qmc.Sobol(len(self._space.names), scramble=True, rng=problem.sampler.seed)
        self._walked = 0
        self._units = np.empty((0, len(self._space.names)))

    def point(self, outer: int, attempt: int = 0) -> Point:
        """The accepted point of this index, along the sequence; further attempts are independent draws.

        The sequence is made in powers of two, which keeps it balanced, and its beginning is the same at every length.
        """
        if attempt:
            return self._further.point(outer, attempt)
        while outer >= len(self._units):
            self._walk_on()
        return self._space.point(dict(zip(self._space.names, self._units[outer].tolist(), strict=True)))

    def _walk_on(self) -> None:
        units = self._sequence.random(min(max(self._walked, 1), MAX_STRIDE))
        self._walked += len(units)
        self._units = np.concatenate([self._units, units[self._space.accepted(units)]])


class GridDesign(DeclaredDesign):
    """Every point of a finite space once, in an order shuffled by the seed.

    The shuffle makes a search that ends early, or is cut by ``max_trial_count``, a random subset of the grid rather
    than a corner of it.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self._space = problem.space
        self._order = np.random.default_rng(problem.sampler.seed).permutation(problem.space.grid_size())
        self._accepted: list[Point] = []
        self._walked = 0

    def point(self, outer: int, attempt: int = 0) -> Point | None:
        """The accepted point of this index in the shuffled grid; None beyond its end."""
        while outer >= len(self._accepted) and self._walked < len(self._order):
            point = self._space.grid_point(int(self._order[self._walked]))
            self._walked += 1
            if not self._space.checks or self._space.accepts(point.values):
                self._accepted.append(point)
        return self._accepted[outer] if outer < len(self._accepted) else None

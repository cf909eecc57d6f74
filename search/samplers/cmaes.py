"""CMA-ES: the covariance matrix adaptation evolution strategy (Hansen, arXiv 1604.00772), of the package ``cmaes``."""

import math
from collections.abc import Mapping

import numpy as np
from cmaes import CMA
from numpy.typing import NDArray

from search.events import Value
from search.problem import SearchProblem, Values
from search.samplers.adaptive import AdaptiveSampler, seed_of
from search.space import Point

SIGMA = 0.3
"""First step size on the unit cube (arXiv 1604.00772, section B.4 of the tutorial: 0.3 of the range)."""
Solution = tuple[NDArray[np.float64], float]


class CmaesSampler(AdaptiveSampler):
    """A generation is so many points that were told one after the other, whoever chose them; each is asked for from
    the distribution of its moment.

    The state is rebuilt by telling the points again. A distribution that has collapsed starts anew with twice the
    population (IPOP: Auger and Hansen 2005). Points that failed count as the worst of their generation.
    """

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__(problem)
        self._sign = 1.0 if problem.objective.direction == "minimize" else -1.0
        self._units: dict[int, NDArray[np.float64]] = {}
        self._told: list[Solution] = []
        self._restarts = 0
        self._strategy = self._start(np.full(len(self._names), 0.5))

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Keep where the point lies until it is told."""
        self._units[outer] = np.array([*self._unit(values).values()])

    def tell(self, outer: int, values: Values | None) -> None:
        """Report a point's objective; with the last of a generation the distribution moves."""
        value = math.inf if values is None else self._sign * values[0]
        self._told.append((self._units.pop(outer), value))
        if len(self._told) < self._strategy.population_size:
            return
        if any(math.isfinite(value) for _, value in self._told):
            self._strategy.tell(self._told)
        self._told = []
        if self._strategy.should_stop():
            self._restarts += 1
            anew = np.random.default_rng(seed_of(self._seed, self._restarts, 1))
            self._strategy = self._start(anew.random(len(self._names)))

    def _ask(self, outer: int, seed: int) -> Point:
        self._strategy.reseed_rng(seed)
        point = self._space.point(dict(zip(self._names, self._strategy.ask().tolist(), strict=True)))
        self.restore(outer, point.values)
        return point

    def _start(self, mean: NDArray[np.float64]) -> "_Injected":
        cube = np.tile([0.0, 1.0], (len(mean), 1))
        population = (4 + int(3 * math.log(len(mean)))) * 2**self._restarts
        return _Injected(mean=mean, sigma=SIGMA, bounds=cube, population_size=population)


class _Injected(CMA):  # type: ignore[misc]  # cmaes comes without types
    """CMA-ES that can be told of points which it has not chosen (Hansen, arXiv 1110.4181).

    One that lies further from the mean than its own points do, in its own metric, is moved towards the mean before
    it counts: otherwise a single point could make the step size explode.
    """

    def tell(self, solutions: list[Solution]) -> None:
        """Move the distribution; steps are clipped at √n + 2n/(n + 2) (section 3, equations 2 and 3)."""
        longest = math.sqrt(self._n_dim) + 2 * self._n_dim / (self._n_dim + 2)
        basis, scales = self._eigen_decomposition()
        moved = []
        for unit, value in solutions:
            step = (unit - self._mean) / self._sigma
            length = float(np.linalg.norm(basis.T @ step / scales))
            moved.append((self._mean + self._sigma * step * min(1.0, longest / max(length, longest)), value))
        super().tell(moved)

"""RACOS of ZOOpt: optimisation by classification (Yu, Qian and Hu 2016, AAAI; sequential: Hu, Qian and Yu 2017)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from zoopt import Dimension2, Parameter, ValueType
from zoopt.algos.opt_algorithms.racos.sracos import SRacosTune
from zoopt.utils.zoo_global import gl

from search.events import Value
from search.problem import SearchProblem, Values
from search.samplers.adaptive import AdaptiveSampler
from search.space import Point

DIGITS = 9
"""Decimals of a unit (assumed: far below what a trial can tell apart)."""
INSIDE = 10.0**-DIGITS
"""Distance of told units from the edges of the cube: ZOOpt looks forever for a box between two points on one edge."""
TRIES = 20
"""Samples of a box, until one is new (assumed)."""
LEAST_BUDGET = 4
"""Smallest budget for which ZOOpt sets the sizes of its sets; below it, it ends the process."""


class ZooptSampler(AdaptiveSampler):
    """A point lies in a random box around one of the best points that holds none of the others.

    This is ZOOpt's variant for Ray Tune, ``SRacosTune``, given each point as it is told: it needs no thread, any number
    of points may run, and telling the points again rebuilds it. Its own ``suggest`` stalls when one of the first
    trials fails, and is not used. A point that failed counts as bad as the worst one so far.
    """

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__(problem)
        self._sign = 1.0 if problem.objective.direction == "minimize" else -1.0
        budget = max(LEAST_BUDGET, problem.max_trial_count // len(problem.space.inner_points))
        axis = (ValueType.CONTINUOUS, [0.0, 1.0], INSIDE)
        self._racos = SRacosTune(
            dimension=Dimension2([axis] * len(self._names)),
            parameter=Parameter(budget=budget),
            parallel_num=problem.parallel_trial_count,
        )
        self._units: dict[int, list[float]] = {}
        self._known: set[tuple[float, ...]] = set()
        """Units that ZOOpt holds: between two equal ones, too, it would look forever."""
        self._worst: float | None = None
        """The largest value so far, as ZOOpt minimises it."""

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Keep where the point lies until it is told."""
        self._units[outer] = self._inside(values)

    def tell(self, outer: int, values: Values | None) -> None:
        """Report a point's objective; one that is known already, or failed before any other was told, is left out."""
        unit = self._units.pop(outer)
        if values is not None:
            self._worst = max(self._sign * values[0], self._sign * values[0] if self._worst is None else self._worst)
        value = self._worst if values is None else self._sign * values[0]
        if value is None or tuple(unit) in self._known:
            return
        self._known.add(tuple(unit))
        solution = self._racos.get_objective().construct_solution(unit)
        self._racos.complete(solution, value)

    def _ask(self, outer: int, seed: int) -> Point:
        if len(self._known) < self._racos.get_parameters().get_train_size():
            point = self._point(np.random.default_rng(seed).random(len(self._names)).tolist())
        else:
            with _global_state(seed, len(self._names)):
                point = self._sample()
        self.restore(outer, point.values)
        return point

    def _sample(self) -> Point:
        """A point of a box, if possible one that is neither known nor running: a box may be a single legal point."""
        for _ in range(TRIES):
            point = self._point(self._box_sample())
            unit = self._inside(point.values)
            if tuple(unit) not in self._known and unit not in self._units.values():
                break
        return point

    def _box_sample(self) -> list[float]:
        """ZOOpt reorders the points that it keeps out of the box, which is undone: asking changes nothing."""
        outside = self._racos.get_negative_data()
        order = list(outside)
        solution, _ = self._racos.sample_solution(self._racos.ub)
        outside[:] = order
        return [float(axis) for axis in solution.get_x()]

    def _point(self, unit: list[float]) -> Point:
        return self._space.point(dict(zip(self._names, unit, strict=True)))

    def _inside(self, values: Mapping[str, Value]) -> list[float]:
        return [round(min(max(axis, INSIDE), 1 - INSIDE), DIGITS) for axis in self._unit(values).values()]


@contextmanager
def _global_state(seed: int, axes: int) -> Iterator[None]:
    """ZOOpt draws from NumPy's global generator, and holds the precision of all axes in a global of its own."""
    kept = np.random.get_state()
    np.random.seed(seed)
    gl.float_precisions = [DIGITS] * axes
    try:
        yield
    finally:
        np.random.set_state(kept)

"""The default of ``purpose: optimise``: Bayesian optimisation that expects a bowl."""

from collections.abc import Mapping, Sequence

import numpy as np

from search.events import Value
from search.problem import SearchProblem, Values
from search.samplers.adaptive import AdaptiveSampler
from search.samplers.bowl.candidates import NEAR, Candidates
from search.samplers.bowl.coordinates import Coordinates, Floats
from search.samplers.bowl.expected import expected_point
from search.samplers.bowl.memory import Memory
from search.samplers.bowl.posterior import Belief
from search.samplers.bowl.prior import Rows, priors
from search.space import Point

BEST = 3
"""Points near which candidates are drawn (assumed)."""
MADE = 6
"""Of the places near them, how many are made points (assumed: a point takes up to a millisecond)."""
Key = frozenset[tuple[str, Value]]


class BowlSampler(AdaptiveSampler):
    """Expected improvement under a Gaussian process that expects a bowl (``prior``), in closed form.

    Losses over log learning rate, log batch and shape are bowls near their optimum. Without a law the bowl's place is
    expected in the middle of the space; with one (``start.law``) there, or where the law says. Values override both.
    The first point is where the optimum is expected. A failed trial counts as a bad one, so that the search keeps away
    from where runs fail; no point is chosen twice while others are left.
    """

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__(problem)
        self._law = problem.start.law
        self._coordinates = Coordinates(problem.space, problem.start.law)
        self._priors = priors(self._coordinates.ordered, self._coordinates.expectations)
        self._memory = Memory(problem.objectives)
        self._tried: dict[int, Key] = {}
        self._refused: dict[int, list[Key]] = {}
        """Points that were chosen for the latest index and not used."""
        self._spread: tuple[Candidates, Rows] | None = None
        self._earlier = _studies_of_earlier_points(problem)

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Add a point of an earlier run, or of elsewhere, as one that runs.

        The first points from elsewhere are those of earlier studies (``search.plan.points``).
        """
        study = self._earlier[-1 - outer] if -len(self._earlier) <= outer < 0 else 0
        self._start(outer, values, self._row(values, study))

    def tell(self, outer: int, values: Values | None) -> None:
        """Learn a point's objectives; one without any failed."""
        self._memory.tell(outer, values)

    def _ask(self, outer: int, seed: int) -> Point:
        generator = np.random.default_rng(seed)
        self._refuse(outer)
        rows, values, best_first = self._memory.known(generator)
        if rows is None and not self._refused[outer]:
            return self._begin(outer, expected_point(self._space, self._law, generator))
        candidates, places = self._candidates()
        points = candidates.spread
        if rows is None:
            score = generator.random(len(points))
        else:
            belief = Belief(self._priors, rows, values)
            if best_first and not candidates.complete:
                near = self._near(candidates, best_first[:BEST], belief, generator)
                points, places = [*points, *near], Rows.joined([places, *(self._row(each.values) for each in near)])
            score = belief.expected_improvement(places)
        return self._begin(outer, points[self._best_untried(outer, points, score)])

    def _begin(self, outer: int, point: Point) -> Point:
        self._start(outer, point.values, self._row(point.values))
        return point

    def _refuse(self, outer: int) -> None:
        """A point that was chosen for this index was not used."""
        refused = self._refused.pop(outer, [])
        if outer in self._tried:
            refused.append(self._tried.pop(outer))
        self._refused = {outer: refused}
        self._memory.forget(outer)

    def _best_untried(self, outer: int, points: Sequence[Point], score: Floats) -> int:
        taken = {*self._tried.values(), *self._refused[outer]}
        tried = np.array([_key(point.values) in taken for point in points])
        return int(np.where(tried, -np.inf, score).argmax() if not tried.all() else score.argmax())

    def _start(self, outer: int, values: Mapping[str, Value], row: Rows) -> None:
        self._memory.start(outer, values, row)
        self._tried[outer] = _key(values)

    def _row(self, values: Mapping[str, Value], study: int = 0) -> Rows:
        place, expected = self._coordinates.row(values), self._coordinates.expected(values)
        return Rows(place[None], expected[None], np.array([study]))

    def _candidates(self) -> tuple[Candidates, Rows]:
        """The candidates that do not depend on what was tried, and their rows."""
        if self._spread is None:
            candidates = Candidates(self._space, self._coordinates.ordered_axes, self._seed)
            self._spread = candidates, Rows.joined([self._row(point.values) for point in candidates.spread])
        return self._spread

    def _near(
        self,
        candidates: Candidates,
        best: Sequence[Mapping[str, Value]],
        belief: Belief,
        generator: np.random.Generator,
    ) -> list[Point]:
        """The most promising of many places near the best points, as points."""
        units = [candidates.near(each, NEAR // len(best), generator) for each in best]
        expected = [
            np.repeat(self._coordinates.expected(each)[None], len(near), axis=0)
            for each, near in zip(best, units, strict=True)
        ]
        together = np.concatenate(units)
        rows = Rows(
            self._coordinates.rows_at(together), np.concatenate(expected), np.zeros(len(together), dtype=np.int64)
        )
        promising = np.argsort(-belief.expected_improvement(rows), kind="stable")[:MADE]
        return [candidates.at(together[index]) for index in promising]


def _key(values: Mapping[str, Value]) -> Key:
    return frozenset(values.items())


def _studies_of_earlier_points(problem: SearchProblem) -> list[int]:
    """The study of each point of earlier ones, numbered from 1, in the order in which a plan restores them."""
    numbers: dict[str, int] = {}
    points: dict[tuple[str, Key], int] = {}
    for trial in problem.start.earlier:
        study = numbers.setdefault(trial.study, len(numbers) + 1)
        outer = {name: value for name, value in trial.parameters.items() if name not in problem.space.inner}
        points[trial.study, _key(outer)] = study
    return list(points.values())

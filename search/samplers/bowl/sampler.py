"""The default of ``purpose: optimise``: Bayesian optimisation that expects a bowl."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from search.events import Value
from search.problem import SearchProblem, Values
from search.samplers.bowl.candidates import NEAR, Candidates
from search.samplers.bowl.coordinates import Coordinates, Floats
from search.samplers.bowl.memory import Memory
from search.samplers.bowl.posterior import Belief
from search.samplers.bowl.prior import Rows, priors
from search.space import Point
from search.start import EarlierTrial

BEST = 3
"""Points near which candidates are drawn (assumed)."""
MADE = 6
"""Of the places near them, how many are made points (assumed: a point takes up to a millisecond)."""
JITTER = 0.15
"""How far from the middle of an axis the first point may lie when no law is given (assumed)."""

Key = tuple[tuple[str, Value], ...]


class BowlSampler:
    """Expected improvement under a Gaussian process that expects a bowl (``prior``), in closed form.

    Losses over log learning rate, log batch and shape are bowls near their optimum. Without a law the bowl's place is
    expected in the middle of the space; with one (``start.law``) there, or where the law says. Values override both.
    The first point is where the optimum is expected. A failed trial counts as a bad one, so that the search keeps away
    from where runs fail; no point is chosen twice while others are left.

    Each choice has a seed of its own, derived from the study's seed, the index and the attempt: a resumed search does
    not repeat its draws.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self._space, self._seed = problem.space, problem.sampler.seed
        self._coordinates = Coordinates(problem.space, problem.start.law)
        self._priors = priors(self._coordinates.ordered, self._coordinates.expectations)
        self._memory = Memory(problem.objectives, list(self._earlier(problem.start.earlier)))
        self._chosen: set[Key] = set()
        self._proposals: tuple[Candidates, Rows] | None = None

    def point(self, outer: int, attempt: int = 0) -> Point:
        """The candidate with the largest expected improvement; one that was chosen for this index is not used."""
        generator = np.random.default_rng([self._seed, outer, attempt])
        self._memory.forget(outer)
        rows, values, best_first = self._memory.known(generator)
        candidates, points, place = self._spread()
        if rows is None:
            score = -self._distance_from_expected(place, generator)
        else:
            belief = Belief(self._priors, rows, values)
            if best_first and not candidates.complete:
                near = self._near(candidates, best_first[:BEST], belief, generator)
                points, place = [*points, *near], Rows.joined([place, *(self._row(point.values) for point in near)])
            score = belief.expected_improvement(place)
        tried = np.array([_key(point.values) in self._chosen for point in points])
        if not tried.all():
            score[tried] = -np.inf
        best = int(score.argmax())
        self._start(outer, points[best].values, place[best : best + 1])
        return points[best]

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Add a point of an earlier run, or of elsewhere, as one that runs."""
        self._start(outer, values, self._row(values))

    def tell(self, outer: int, values: Values | None) -> None:
        """Learn a point's objectives; one without any failed."""
        self._memory.tell(outer, values)

    def _start(self, outer: int, values: Mapping[str, Value], row: Rows) -> None:
        self._memory.start(outer, values, row)
        self._chosen.add(_key(values))

    def _row(self, values: Mapping[str, Value], study: int = 0) -> Rows:
        place, expected = self._coordinates.row(values), self._coordinates.expected(values)
        return Rows(place[None], expected[None], np.array([study]))

    def _earlier(self, trials: Sequence[EarlierTrial]) -> Iterator[tuple[list[Rows], list[Values | None]]]:
        studies: dict[str, list[EarlierTrial]] = defaultdict(list)
        for trial in trials:
            studies[trial.study].append(trial)
        for number, group in enumerate(studies.values(), start=1):
            yield [self._row(trial.parameters, number) for trial in group], [trial.values for trial in group]

    def _spread(self) -> tuple[Candidates, list[Point], Rows]:
        """The candidates that do not depend on what was tried."""
        if self._proposals is None:
            candidates = Candidates(self._space, self._seed)
            self._proposals = candidates, Rows.joined([self._row(point.values) for point in candidates.spread])
        candidates, rows = self._proposals
        return candidates, candidates.spread, rows

    def _near(
        self,
        candidates: Candidates,
        best: Sequence[Mapping[str, Value]],
        belief: Belief,
        generator: np.random.Generator,
    ) -> list[Point]:
        """The most promising of many places near the best points, as points: to make one takes a while."""
        units = np.concatenate([candidates.near(each, NEAR // len(best), generator) for each in best])
        expected = [self._coordinates.expected(each) for each in best]
        rows = Rows(
            self._coordinates.rows_at(units),
            np.repeat(expected, NEAR // len(best), axis=0),
            np.zeros(len(units), dtype=np.int64),
        )
        promising = np.argsort(-belief.expected_improvement(rows), kind="stable")[:MADE]
        return [candidates.at(units[index]) for index in promising]

    def _distance_from_expected(self, candidates: Rows, generator: np.random.Generator) -> Floats:
        """Of each candidate, shape (n,): from where a law expects the optimum, else from about the middle."""
        ordered = self._coordinates.ordered
        by_law = self._coordinates.expectations > 1
        jitter = 0.0 if by_law else generator.uniform(-JITTER, JITTER, int(ordered.sum()))
        away = (candidates.place - candidates.expected[:, -1])[:, ordered] - jitter
        return np.asarray((away**2).sum(1))


def _key(values: Mapping[str, Value]) -> Key:
    return tuple(sorted(values.items()))

"""Which trial runs next: numbers, outer and inner points, attempts. Rebuilt from history, without Ray."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from statistics import fmean

from search.events import Value
from search.problem import UNFINISHED_STATES, VALUED_STATES, PastTrial, PlannedTrial, SearchProblem
from search.samplers import build_sampler

MAX_LOST_WORKERS = 3
"""Workers that may die with a trial, over all runs of the search, before it counts as failed (assumed)."""


class Plan:
    """Hands out every number below ``max_trial_count`` once, in order, and again when its attempt was lost.

    Trial number = outer index × number of inner points + inner index. Every number up to ``max_trial_count`` is run;
    when that is no multiple of the number of inner points, the last outer point stays partial. A finite design ends
    the search earlier.
    """

    def __init__(self, problem: SearchProblem, history: Sequence[PastTrial]) -> None:
        self._space = problem.space
        self._direction = problem.objective.direction
        self._limit = problem.max_trial_count
        self._sampler = build_sampler(problem)
        self._past = {trial.number: trial for trial in history}
        self._outer: dict[int, Mapping[str, Value]] = {}
        self._ended: dict[int, dict[int, float | None]] = defaultdict(dict)
        self._lost_workers = {trial.number: trial.lost_workers for trial in history}
        self._lost: deque[PlannedTrial] = deque()
        self._running: dict[int, PlannedTrial] = {}
        self._next_number = 0
        self._restore()

    @property
    def finished(self) -> bool:
        """Whether every trial has ended."""
        return not self._lost and not self._running and self._next_number >= self._limit

    def start_next(self) -> PlannedTrial | None:
        """The next trial to run; None when there is nothing to start now."""
        trial = self._lost.popleft() if self._lost else self._next_new()
        if trial is not None:
            self._running[trial.number] = trial
        return trial

    def end(self, number: int, value: float | None) -> None:
        """Record that a trial ended; ``value`` is None when it has none."""
        del self._running[number]
        self._record(number, value)

    def lose(self, number: int) -> bool:
        """Record a lost attempt. Returns whether the trial gets another one; if not, it has ended."""
        self._lost_workers[number] = self._lost_workers.get(number, 0) + 1
        if self._lost_workers[number] >= MAX_LOST_WORKERS:
            self.end(number, None)
            return False
        self._lost.append(self._running.pop(number))
        return True

    def _restore(self) -> None:
        inner = len(self._space.inner_points)
        for number in sorted(self._past):
            trial, outer = self._past[number], number // inner
            if outer not in self._outer:
                self._outer[outer] = self._outer_values(trial.parameters)
                self._sampler.restore(outer, self._outer[outer])
            if trial.state not in UNFINISHED_STATES:
                self._record(number, trial.value if trial.state in VALUED_STATES else None)
        while self._has_ended(self._next_number):
            self._next_number += 1

    def _has_ended(self, number: int) -> bool:
        return number in self._past and self._past[number].state not in UNFINISHED_STATES

    def _outer_values(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        return {name: value for name, value in parameters.items() if name not in self._space.inner}

    def _next_new(self) -> PlannedTrial | None:
        while self._next_number < self._limit:
            number = self._next_number
            self._next_number += 1
            past = self._past.get(number)
            if past is None:
                return self._new(number)
            if past.state in UNFINISHED_STATES:
                return PlannedTrial(number, past.parameters, self._space.describe(past.parameters).attributes)
        return None

    def _new(self, number: int) -> PlannedTrial | None:
        outer, inner = divmod(number, len(self._space.inner_points))
        if outer not in self._outer:
            point = self._sampler.point(outer)
            if point is None:
                self._limit = number
                return None
            self._outer[outer] = point.values
        trial = self._space.trial(self._outer[outer], inner)
        return PlannedTrial(number, trial.values, trial.attributes)

    def _record(self, number: int, value: float | None) -> None:
        outer, inner = divmod(number, len(self._space.inner_points))
        ended = self._ended[outer]
        ended[inner] = value
        if len(ended) == len(self._space.inner_points):
            self._sampler.tell(outer, outer_value(ended, self._space.inner_points, self._direction))
            del self._ended[outer]


def outer_value(
    ended: Mapping[int, float | None], inner_points: Sequence[Mapping[str, Value]], direction: str
) -> float | None:
    """The value of an outer point: the mean over inner seeds, then the best over the other inner parameters.

    A setting of which one seed failed does not count; None when none counts.
    """
    settings: dict[tuple[tuple[str, Value], ...], list[float | None]] = defaultdict(list)
    for inner, value in ended.items():
        key = tuple((name, given) for name, given in inner_points[inner].items() if name != "seed")
        settings[key].append(value)
    means = [
        fmean(kept) for values in settings.values() if len(kept := [v for v in values if v is not None]) == len(values)
    ]
    best = min if direction == "minimize" else max
    return best(means, default=None)

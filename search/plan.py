"""Which trial runs next: numbers, outer and inner points, attempts. Rebuilt from history, without Ray."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from statistics import fmean

from search.events import Value
from search.problem import UNFINISHED_STATES, VALUED_STATES, PastTrial, PlannedTrial, SearchProblem, Values
from search.samplers import build_sampler
from search.stacks import program_key

MAX_LOST_WORKERS = 3
"""Workers that may die with a trial, over all runs of the search, before it counts as failed (assumed)."""


class Plan:
    """Hands out every number below ``max_trial_count`` once, in order, and again when its attempt was lost.

    Trial number = outer index × number of inner points + inner index. Every number up to ``max_trial_count`` is run;
    when that is no multiple of the number of inner points, the last outer point stays partial. A finite design ends
    the search earlier.

    What is handed out is a group: trials of one outer point that can be trained as one program, at most ``stack`` of
    them. Each ends, or is lost, by itself; lost ones are grouped anew.
    """

    def __init__(self, problem: SearchProblem, history: Sequence[PastTrial]) -> None:
        self._space = problem.space
        self._direction = problem.objective.direction
        self._limit = problem.max_trial_count
        self._stack = problem.resources.stack
        self._keys = tuple(program_key(point) for point in problem.space.inner_points)
        self._sampler = build_sampler(problem)
        self._past = {trial.number: trial for trial in history}
        self._outer: dict[int, Mapping[str, Value]] = {}
        self._ended: dict[int, dict[int, Values | None]] = defaultdict(dict)
        self._lost_workers = {trial.number: trial.lost_workers for trial in history}
        self._lost: dict[int, None] = {}
        """Numbers whose attempt was lost in this run of the search, in that order."""
        self._running: set[int] = set()
        self._taken: set[int] = set()
        """Numbers that run or have ended."""
        self._next_number = 0
        self._restore()

    @property
    def finished(self) -> bool:
        """Whether every trial has ended."""
        return not self._lost and not self._running and self._next_number >= self._limit

    def start_next(self) -> tuple[PlannedTrial, ...]:
        """The trials of the next program, by number; none when there is nothing to start now."""
        leader = next(iter(self._lost), self._next_number)
        if leader >= self._limit or not self._exists(leader // len(self._keys)):
            self._limit = min(self._limit, leader)
            return ()
        group = sorted([leader, *islice(self._companions(leader), self._stack - 1)])
        for number in group:
            self._lost.pop(number, None)
        self._running.update(group)
        self._take(group)
        return tuple(self._planned(number) for number in group)

    def end(self, number: int, values: Values | None) -> None:
        """Record that a trial ended; ``values`` is None when it lacks an objective."""
        self._running.remove(number)
        self._record(number, values)

    def lose(self, number: int) -> bool:
        """Record a lost attempt. Returns whether the trial gets another one; if not, it has ended."""
        self._lost_workers[number] = self._lost_workers.get(number, 0) + 1
        if self._lost_workers[number] >= MAX_LOST_WORKERS:
            self.end(number, None)
            return False
        self._running.remove(number)
        self._taken.remove(number)
        self._lost[number] = None
        return True

    def _restore(self) -> None:
        for number in sorted(self._past):
            trial, outer = self._past[number], number // len(self._keys)
            if outer not in self._outer:
                self._outer[outer] = self._outer_values(trial.parameters)
                self._sampler.restore(outer, self._outer[outer])
            if trial.state not in UNFINISHED_STATES:
                self._record(number, trial.values if trial.state in VALUED_STATES else None)
                self._take([number])

    def _outer_values(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        return {name: value for name, value in parameters.items() if name not in self._space.inner}

    def _take(self, numbers: Sequence[int]) -> None:
        self._taken.update(numbers)
        while self._next_number in self._taken or self._next_number in self._lost:
            self._next_number += 1

    def _exists(self, outer: int) -> bool:
        """Whether the design has this outer point; the sampler is asked for it once."""
        if outer not in self._outer:
            point = self._sampler.point(outer)
            if point is None:
                return False
            self._outer[outer] = point.values
        return True

    def _companions(self, leader: int) -> Iterator[int]:
        """Numbers that can be trained in one program with ``leader`` and are still to be run, ascending.

        Who has one attempt left runs it alone: no trial fails because of others that shared its programs.
        """
        if self._has_one_attempt(leader):
            return
        first = leader - leader % len(self._keys)
        key = self._keys[leader - first]
        for number in range(first, min(first + len(self._keys), self._limit)):
            fits = self._keys[number - first] == key and not self._has_one_attempt(number)
            if fits and number != leader and number not in self._taken:
                yield number

    def _has_one_attempt(self, number: int) -> bool:
        return self._lost_workers.get(number, 0) >= MAX_LOST_WORKERS - 1

    def _planned(self, number: int) -> PlannedTrial:
        past = self._past.get(number)
        if past is not None:
            return PlannedTrial(number, past.parameters, self._space.describe(past.parameters).attributes)
        outer, inner = divmod(number, len(self._keys))
        trial = self._space.trial(self._outer[outer], inner)
        return PlannedTrial(number, trial.values, trial.attributes)

    def _record(self, number: int, values: Values | None) -> None:
        outer, inner = divmod(number, len(self._keys))
        ended = self._ended[outer]
        ended[inner] = values if values is not None and all(map(math.isfinite, values)) else None
        if len(ended) == len(self._keys):
            self._sampler.tell(outer, outer_values(ended, self._space.inner_points, self._direction))
            del self._ended[outer]


def outer_values(
    ended: Mapping[int, Values | None], inner_points: Sequence[Mapping[str, Value]], direction: str
) -> Values | None:
    """The objectives of an outer point: means over inner seeds, of the setting of the other inner parameters that is
    best by the first objective, whose ``direction`` is given.

    A setting of which one seed failed does not count; None when none counts.
    """
    settings: dict[tuple[tuple[str, Value], ...], list[Values | None]] = defaultdict(list)
    for inner, values in ended.items():
        key = tuple((name, given) for name, given in inner_points[inner].items() if name != "seed")
        settings[key].append(values)
    means = [
        tuple(map(fmean, zip(*kept, strict=True)))
        for seeds in settings.values()
        if len(kept := [values for values in seeds if values is not None]) == len(seeds)
    ]
    best = min if direction == "minimize" else max
    return best(means, key=itemgetter(0), default=None)

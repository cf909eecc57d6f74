"""Which trial runs next: numbers, outer and inner points, attempts. Rebuilt from history, without Ray."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from search.events import Value
from search.orders import Look, Orders
from search.origins import ORIGIN_ATTRIBUTES, REPLICATE
from search.plan.numbers import Numbers
from search.plan.outcomes import outer_values
from search.plan.points import Points
from search.plan.replicates import Replicates
from search.problem import UNFINISHED_STATES, VALUED_STATES, PastTrial, PlannedTrial, SearchProblem, Values
from search.stacks import program_key

MAX_LOST_WORKERS = 3
"""Workers that may die with a trial, over all runs of the search, before it counts as failed (assumed)."""


class Plan:
    """Hands out every number below ``max_trial_count`` once, in order, and again when its attempt was lost.

    Each outer point has a slot, whose trials have the numbers slot × inner points + inner index (see
    :class:`search.plan.numbers.Numbers`). Every number up to ``max_trial_count`` is run; when that is no multiple of
    the number of inner points, the last outer point stays partial. A finite design ends the search earlier. Where
    leaders are to be trained on fresh seeds, the last numbers are theirs, and begin when all others have ended.

    What is handed out is a group: trials of one outer point, or of one leader, that can be trained as one program, at
    most ``stack`` of them. Each ends, or is lost, by itself; lost ones are grouped anew.

    Args:
        problem: what is searched.
        history: the trials of earlier runs of the search.
        look: reads the newest orders; by default those of the problem.
    """

    def __init__(self, problem: SearchProblem, history: Sequence[PastTrial], look: Look | None = None) -> None:
        self._space = problem.space
        self._direction = problem.objective.direction
        asked = Orders(problem.max_trial_count)
        self._look = look or (lambda: asked)
        self._orders: Orders | None = None
        self._limit = problem.max_trial_count
        self._stack = problem.resources.stack
        self._keys = tuple(program_key(point) for point in problem.space.inner_points)
        self._numbers = Numbers(len(self._keys), problem.seeds.reserved)
        self._points = Points(problem)
        self._replicates = Replicates(problem)
        self._past = {trial.number: trial for trial in history}
        self._ended: dict[int, dict[int, Values | None]] = defaultdict(dict)
        self._lost_workers = {trial.number: trial.lost_workers for trial in history}
        self._lost: dict[int, None] = {}
        """Numbers whose attempt was lost in this run of the search, in that order."""
        self._running: dict[int, PlannedTrial] = {}
        self._taken: set[int] = set()
        """Numbers that run or have ended."""
        self._next_number = 0
        self._over = False
        """Whether the last look found nothing further to begin."""
        self._restore()

    @property
    def finished(self) -> bool:
        """Whether every trial has ended."""
        return not self._lost and not self._running and (self._over or self._next_number >= self._limit)

    def start_next(self) -> tuple[PlannedTrial, ...]:
        """The trials of the next program, by number; none when there is nothing to start now."""
        self._take_orders()
        leader = next(iter(self._lost), None)
        if leader is None:
            leader = self._begin_next()
        if leader is None:
            return ()
        group = sorted([leader, *islice(self._companions(leader), self._stack - 1)])
        trials = {number: self._planned(number) for number in group}
        for number in group:
            self._lost.pop(number, None)
        self._running.update(trials)
        self._take(group)
        return tuple(trials.values())

    def adopt(self, number: int) -> None:
        """Learn that an unfinished trial of the history runs on: it is not begun anew."""
        self._running[number] = self._planned(number)
        self._take([number])

    def end(self, number: int, values: Values | None, pruned: bool = False) -> None:
        """Record that a trial ended; ``values`` is None when it lacks an objective."""
        self._record(self._running.pop(number), values, complete=not pruned)

    def lose(self, number: int) -> bool:
        """Record a lost attempt. Returns whether the trial gets another one; if not, it has ended."""
        self._lost_workers[number] = self._lost_workers.get(number, 0) + 1
        if self._lost_workers[number] >= MAX_LOST_WORKERS:
            self.end(number, None)
            return False
        del self._running[number]
        self._taken.remove(number)
        self._lost[number] = None
        return True

    def _take_orders(self) -> None:
        orders = self._look()
        if orders is self._orders:
            return
        self._orders = orders
        self._limit = max(self._limit, orders.max_trial_count)
        self._points.enqueue(orders.points)

    def _begin_next(self) -> int | None:
        """The lowest number that can begin now; its slot has a point, or its block leaders."""
        self._over = False
        while self._next_number < self._limit:
            number = self._next_number
            block = self._numbers.block_of(number)
            if block is not None:
                if self._replicate(number) is not None:
                    return number
                self._next_number = block + self._numbers.block  # there are fewer leaders
            elif self._has_point(number):
                return number
            elif not self._may_replicate(number):
                return None
            else:
                self._numbers.begin_block(number)
        return None

    def _has_point(self, number: int) -> bool:
        """Whether the slot of a number has a point; a new one is drawn once."""
        end = self._slots_end
        if number >= end:
            return False
        slot, inner = self._numbers.place(number)
        return slot in self._points or self._points.draw(slot, whole=number - inner + len(self._keys) <= end)

    @property
    def _slots_end(self) -> int:
        """The number before which slots end: the last ones are for replicates."""
        return self._limit - self._numbers.block

    def _may_replicate(self, number: int) -> bool:
        """Whether a block of replicates begins at ``number``, where no slot does: after slots, all of which ended."""
        if self._numbers.block == 0 or number == self._numbers.segment:
            self._over = True
            return False
        return not self._running and not self._lost

    def _replicate(self, number: int) -> PlannedTrial | None:
        """The replicate of this number; None when there are fewer leaders."""
        block = self._numbers.block_of(number)
        if block is None:
            return None
        chosen = self._replicates.trial(block, self._numbers.block_index(block), number - block)
        if chosen is None:
            return None
        parameters, attributes = chosen
        return PlannedTrial(number, parameters, {**self._space.describe(parameters).attributes, **attributes})

    def _restore(self) -> None:
        for number in sorted(self._past):
            trial = self._past[number]
            if REPLICATE in trial.attributes:
                self._restore_block(number - int(trial.attributes[REPLICATE]))
            else:
                slot, _ = self._numbers.place(number)
                if slot not in self._points:
                    self._points.restore(slot, self._outer_values(trial.parameters), trial.attributes)
            if trial.state not in UNFINISHED_STATES:
                values = trial.values if trial.state in VALUED_STATES else None
                self._record(trial, values, complete=trial.state == "COMPLETE")
                self._take([number])

    def _restore_block(self, first: int) -> None:
        if self._numbers.block_of(first) is None:
            self._numbers.begin_block(first)

    def _outer_values(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        return {name: value for name, value in parameters.items() if name not in self._space.inner}

    def _take(self, numbers: Sequence[int]) -> None:
        self._taken.update(numbers)
        while self._next_number in self._taken or self._next_number in self._lost:
            self._next_number += 1

    def _companions(self, leader: int) -> Iterator[int]:
        """Numbers that can be trained in one program with ``leader`` and are still to be run, ascending.

        Who has one attempt left runs it alone: no trial fails because of others that shared its programs.
        """
        if self._has_one_attempt(leader):
            return
        for number in self._program(leader):
            if number != leader and number not in self._taken and not self._has_one_attempt(number):
                yield number

    def _program(self, leader: int) -> Iterator[int]:
        """Numbers of the slot or of the leader's replicates that a program with ``leader`` can hold."""
        block = self._numbers.block_of(leader)
        if block is not None:
            yield from self._replicates.siblings(block, leader)
            return
        _, inner = self._numbers.place(leader)
        first = leader - inner
        for number in range(first, min(first + len(self._keys), self._numbers.block_after(first) or self._slots_end)):
            if self._keys[number - first] == self._keys[inner]:
                yield number

    def _has_one_attempt(self, number: int) -> bool:
        return self._lost_workers.get(number, 0) >= MAX_LOST_WORKERS - 1

    def _planned(self, number: int) -> PlannedTrial:
        past = self._past.get(number)
        if past is not None:
            kept = {name: value for name, value in past.attributes.items() if name in ORIGIN_ATTRIBUTES}
            attributes = {**self._space.describe(past.parameters).attributes, **kept}
            return PlannedTrial(number, past.parameters, attributes)
        replicate = self._replicate(number)
        if replicate is not None:
            return replicate
        slot, inner = self._numbers.place(number)
        point = self._points[slot]
        trial = self._space.trial(point.values, inner)
        return PlannedTrial(number, trial.values, {**trial.attributes, **point.attributes})

    def _record(self, trial: PastTrial | PlannedTrial, values: Values | None, complete: bool) -> None:
        """Learn what a trial came to. Values of a replicate choose nothing any more."""
        if self._numbers.block_of(trial.number) is not None:
            return
        usable = values if values is not None and all(map(math.isfinite, values)) else None
        if complete and usable is not None:
            self._replicates.note(trial.number, trial.parameters, usable)
        slot, inner = self._numbers.place(trial.number)
        ended = self._ended[slot]
        ended[inner] = usable
        if len(ended) == len(self._keys):
            self._points.tell(slot, outer_values(ended, self._space.inner_points, self._direction))
            del self._ended[slot]

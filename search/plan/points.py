"""Where outer points come from: those that users give first, then the sampler's; none is tried twice unless asked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from model.errors import InvalidInput
from search.events import Value
from search.given import given_point
from search.orders import EnqueuedPoint
from search.origins import DESIGN_INDEX, ENQUEUED_POINT, ORIGIN, START_POINT
from search.plan.earlier import outer_points
from search.problem import SearchProblem, Values
from search.samplers import build_sampler
from search.samplers.designs import GridDesign, RandomDesign
from search.space import Point

MAX_ASKS = 8
"""How often a sampler is asked for one point before others are looked for (assumed: each ask halves the chance of a
repetition while at least half of a space is untried)."""
MAX_DRAWS = 100
"""How often a space too large to be enumerated is then drawn from (assumed)."""

Key = frozenset[tuple[str, Value]]


@dataclass(frozen=True, slots=True)
class OuterPoint:
    """An outer point of a slot."""

    values: Mapping[str, Value]
    index: int
    """The sampler's name for it: the index of its design, and of a point from elsewhere a negative number."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    """What its trials say of its origin."""


class Points:
    """The outer points of a search, by slot.

    Points of the spec's ``start`` come first, then enqueued ones in the order in which they were asked for, then the
    sampler's. These have indices of their own, so that a declared design is the same whatever a user adds to it.

    A point that was tried is not tried again. The sampler is asked for another one, with attempts 1, 2, …; of a finite
    space, whose points can be enumerated, an untried one is taken in an order shuffled by the seed when that does not
    help, and when none is left the design has ended. Of other spaces random draws are taken.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self._problem = problem
        self._space = problem.space
        self._sampler = build_sampler(problem)
        self._slots: dict[int, OuterPoint] = {}
        self._tried: set[Key] = set()
        self._earlier: set[Key] = set()
        """Points that earlier studies tried; a user may give one nevertheless."""
        self._indices: set[int] = set()
        self._next_index = 0
        self._start = dict(enumerate(problem.start.points))
        self._waiting: dict[int, EnqueuedPoint] = {}
        self._seen: set[int] = set()
        """Positions of enqueued points that wait no more."""
        self._foreign = 0
        self._untried: _Untried | None = None
        for values, objectives in outer_points(problem):
            index = self._foreign_index()
            self._sampler.restore(index, values)
            self._sampler.tell(index, objectives)
            self._earlier.add(_key(values))

    def __contains__(self, slot: int) -> bool:
        return slot in self._slots

    def __getitem__(self, slot: int) -> OuterPoint:
        return self._slots[slot]

    def restore(self, slot: int, values: Mapping[str, Value], attributes: Mapping[str, Value]) -> None:
        """Learn of a slot that an earlier run has begun, from one of its trials."""
        origin = attributes.get(ORIGIN, "design")
        if origin == "design":
            index = int(attributes.get(DESIGN_INDEX, slot))
            self._indices.add(index)
            kept: dict[str, Value] = {ORIGIN: origin, DESIGN_INDEX: index}
        else:
            index = self._foreign_index()
            name = START_POINT if origin == "start" else ENQUEUED_POINT
            kept = {ORIGIN: origin, name: attributes[name]}
            place = int(attributes[name])
            if origin == "start":
                self._start.pop(place, None)
            else:
                self._seen.add(place)
        self._slots[slot] = OuterPoint(values, index, kept)
        self._learn(index, values)

    def enqueue(self, points: Iterable[EnqueuedPoint]) -> None:
        """Learn of points that a user asked for; those known already change nothing."""
        for point in points:
            if point.position not in self._seen:
                self._waiting.setdefault(point.position, point)

    def draw(self, slot: int, whole: bool) -> bool:
        """Choose the point of a new slot; whether there is one. Only a ``whole`` slot takes a point that was given."""
        point = (self._given() if whole else None) or self._designed()
        if point is None:
            return False
        self._slots[slot] = point
        return True

    def tell(self, slot: int, values: Values | None) -> None:
        """Tell the sampler what a slot's point is worth."""
        self._sampler.tell(self._slots[slot].index, values)

    def _given(self) -> OuterPoint | None:
        """The next point that a user gave and that is to be tried."""
        if self._start:
            place = min(self._start)
            values = given_point(self._space, self._start.pop(place), f"start.points.{place}").values
            return self._foreign_point(values, {ORIGIN: "start", START_POINT: place})
        while self._waiting:
            position = min(self._waiting)
            point = self._waiting.pop(position)
            self._seen.add(position)
            if point.may_repeat or self._problem.allow_duplicates or _key(point.values) not in self._tried:
                return self._foreign_point(point.values, {ORIGIN: "enqueued", ENQUEUED_POINT: position})
        return None

    def _foreign_point(self, values: Mapping[str, Value], attributes: Mapping[str, Value]) -> OuterPoint:
        index = self._foreign_index()
        self._learn(index, values)
        return OuterPoint(values, index, attributes)

    def _foreign_index(self) -> int:
        self._foreign += 1
        return -self._foreign

    def _learn(self, index: int, values: Mapping[str, Value]) -> None:
        self._sampler.restore(index, values)
        self._tried.add(_key(values))

    def _is_new(self, values: Mapping[str, Value]) -> bool:
        return self._problem.allow_duplicates or not (_key(values) in self._tried or _key(values) in self._earlier)

    def _designed(self) -> OuterPoint | None:
        """The sampler's next point; None when its design has ended or nothing is left to try."""
        while True:
            while self._next_index in self._indices:
                self._next_index += 1
            index = self._next_index
            point = self._sampler.point(index)
            if point is None:
                return None
            self._indices.add(index)
            if not self._is_new(point.values):
                if isinstance(self._sampler, GridDesign):
                    continue  # its next index is its next point
                point = self._another(index)
                if point is None:
                    return None
            self._tried.add(_key(point.values))
            return OuterPoint(point.values, index, {ORIGIN: "design", DESIGN_INDEX: index})

    def _another(self, index: int) -> Point | None:
        """A point that is new, where the sampler's first one was not."""
        for attempt in range(1, MAX_ASKS):
            point = self._sampler.point(index, attempt)
            if point is not None and self._is_new(point.values):
                return point
        if self._untried is None:
            self._untried = _Untried(self._problem)
        found = self._untried.find(index, self._is_new)
        if found is not None:
            self._sampler.restore(index, found.values)
        return found


def _key(values: Mapping[str, Value]) -> Key:
    return frozenset(values.items())


class _Untried:
    """Finds what was not tried when a sampler does not: each point of a finite space is looked at once."""

    def __init__(self, problem: SearchProblem) -> None:
        self._space = problem.space
        self._draws = RandomDesign(problem)
        self._looked_at = 0
        try:
            size = problem.space.grid_size()
        except InvalidInput:
            self._order = None
        else:
            self._order = np.random.default_rng(problem.sampler.seed).permutation(size)

    def find(self, index: int, is_new: Callable[[Mapping[str, Value]], bool]) -> Point | None:
        """A point whose values are new; None when there is none."""
        if self._order is None:
            draws = (self._draws.point(index, attempt) for attempt in range(MAX_ASKS, MAX_ASKS + MAX_DRAWS))
            return next((point for point in draws if is_new(point.values)), None)
        while self._looked_at < len(self._order):
            point = self._space.grid_point(int(self._order[self._looked_at]))
            if is_new(point.values) and (not self._space.checks or self._space.accepts(point.values)):
                return point
            self._looked_at += 1
        return None

"""A space in numbers: how many points it has, and what follows from them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from search.events import Value
from search.space.space import BUDGET_NAMES, Point, Space

MAX_LOOKED_AT = 256
"""Points that are looked at (assumed: a tenth of a second)."""
MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Range:
    """Smallest and largest value."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SpaceSummary:
    """What a space holds."""

    points: int | None
    """Outer points; None when they are a continuum."""
    shapes: int
    """Legal combinations of the parameters that a parameter count depends on, continuous ones aside."""
    inner_points: int
    """Points of the inner grids, at each of which every outer point is trained."""
    excluded: Mapping[str, tuple[Value, ...]]
    """Declared values that no legal point holds."""
    solved: Mapping[str, Range]
    """What follows from the declared parameters: the width where a budget is solved, and the network's attributes."""
    looked_at: int
    """Points from which ``solved`` is known: all of a small space, else evenly spread ones."""
    examples: tuple[Point, ...]
    """Some of them, as trials at the first inner point."""


def summarize(space: Space) -> SpaceSummary:
    """Count a space and look at its points."""
    points = list(_points(space))
    trials = [space.trial(point.values, 0) for point in points]
    spread = [trials[index * len(trials) // MAX_EXAMPLES] for index in range(min(MAX_EXAMPLES, len(trials)))]
    return SpaceSummary(
        points=space.size,
        shapes=_count_shapes(space),
        inner_points=len(space.inner_points),
        excluded=space.excluded,
        solved=_ranges(space, trials),
        looked_at=len(points),
        examples=tuple(trials if len(trials) <= MAX_EXAMPLES else spread),
    )


def _points(space: Space) -> Iterator[Point]:
    if space.size is not None and space.size <= MAX_LOOKED_AT:
        yield from (space.grid_point(index) for index in range(space.size))
        return
    ratio = _plastic_ratio(len(space.names))
    for index in range(1, MAX_LOOKED_AT + 1):
        yield space.point({name: index * ratio ** -(axis + 1) % 1 for axis, name in enumerate(space.names)})


def _plastic_ratio(axes: int) -> float:
    """The root of x^(axes + 1) = x + 1, whose powers spread points evenly (M. Roberts, 2018, the sequence R_d)."""
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (axes + 1))
    return root


def _count_shapes(space: Space) -> int:
    tied = space.groups[0]
    others = (space.parameters[name].size for name in space.names if name in BUDGET_NAMES and name not in tied.names)
    return math.prod([len(tied), *(size or 1 for size in others)])


def _ranges(space: Space, trials: list[Point]) -> dict[str, Range]:
    derived = [{**trial.values, **trial.attributes} for trial in trials]
    names = [name for name in derived[0] if name not in space.parameters and name not in space.inner]
    numbers = {name: [float(values[name]) for values in derived] for name in names}
    return {name: Range(min(values), max(values)) for name, values in numbers.items()}

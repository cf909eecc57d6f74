"""A space in numbers: how many points it has, what excludes the rest, and what follows from them."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from search.events import Value
from search.space.legal import Exclusion
from search.space.point import Point
from search.space.quantities import SHAPE_NAMES
from search.space.space import Space

MAX_LOOKED_AT = 256
"""Points that are looked at (assumed: a tenth of a second)."""
MAX_TRIED = 2**14
"""Points of the sequence that are tried for accepted ones (assumed)."""
MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Range:
    """Smallest and largest value."""

    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Range":
        """Of some values."""
        return cls(min(values), max(values))


@dataclass(frozen=True, slots=True)
class SpaceSummary:
    """What a space holds."""

    points: int | None
    """Outer points; None when they are a continuum. Those that ``acceptance`` leaves out are counted."""
    shapes: int
    """Legal combinations of the parameters that make a network, continuous ones aside."""
    inner_points: int
    """Points of the inner grids, at each of which every outer point is trained."""
    acceptance: float
    """Share of the drawn points that satisfy the constraints; 1 where every point is made to satisfy them."""
    acceptance_draws: int
    """Draws that ``acceptance`` is estimated from; 0 where it is exact."""
    excluded: Mapping[str, tuple[Value, ...]]
    """Declared values that no legal point holds."""
    exclusions: tuple[Exclusion, ...]
    """What each constraint leaves out of what those before it left."""
    solved: Mapping[str, Range]
    """What follows from the declared parameters: what a budget is solved for, and the network's attributes."""
    looked_at: int
    """Points from which ``solved`` is known: all of a small space, else evenly spread ones."""
    examples: tuple[Point, ...]
    """Some of them, as trials at the first inner point."""


def summarize(space: Space) -> SpaceSummary:
    """Count a space and look at its points."""
    trials = looked_at(space)
    spread = [trials[index * len(trials) // MAX_EXAMPLES] for index in range(min(MAX_EXAMPLES, len(trials)))]
    return SpaceSummary(
        points=space.size,
        shapes=_count_shapes(space),
        inner_points=len(space.inner_points),
        acceptance=space.acceptance.rate,
        acceptance_draws=space.acceptance.drawn,
        excluded=space.excluded,
        exclusions=tuple(exclusion for exclusion in space.exclusions if exclusion.field or exclusion.share > 0),
        solved=_ranges(space, trials),
        looked_at=len(trials),
        examples=tuple(trials if len(trials) <= MAX_EXAMPLES else spread),
    )


def looked_at(space: Space) -> list[Point]:
    """Accepted points, as trials at the first inner point: all of a small space, else evenly spread ones."""
    return [space.trial(point.values, 0) for point in _outer(space)]


def looked_at_all(space: Space, names: Collection[str]) -> Iterator[Point]:
    """The same points, at the first of the inner points that agree in each of ``names``."""
    distinct: dict[tuple[Value | None, ...], int] = {}
    for index, inner in enumerate(space.inner_points):
        distinct.setdefault(tuple(value for name, value in inner.items() if name in names), index)
    for point in _outer(space):
        yield from (space.trial(point.values, index) for index in distinct.values())


def _outer(space: Space) -> list[Point]:
    """Accepted points without a value of the inner grids: all of a small space, else evenly spread ones."""
    if space.size is not None and space.size <= MAX_LOOKED_AT:
        points = [space.grid_point(index) for index in range(space.size)]
        accepted = [point for point in points if not space.checks or space.accepts(point.values)]
    else:
        units = _even_units(space)[:MAX_LOOKED_AT]
        accepted = [space.point(dict(zip(space.names, unit, strict=True))) for unit in units.tolist()]
        accepted = accepted or [space.draw(np.random.default_rng(0))]
    return accepted


def _even_units(space: Space) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Accepted points of the cube along a sequence that covers it evenly (M. Roberts, 2018, R_d), few where few are."""
    axes = len(space.names)
    powers = _plastic_ratio(axes) ** -np.arange(1.0, axes + 1)
    tried = np.arange(1, (MAX_TRIED if space.checks else MAX_LOOKED_AT) + 1)[:, None] * powers % 1
    return tried[space.accepted(tried)]


def _plastic_ratio(axes: int) -> float:
    """The root of x^(axes + 1) = x + 1, whose powers spread points evenly (M. Roberts, 2018, the sequence R_d)."""
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (axes + 1))
    return root


def _count_shapes(space: Space) -> int:
    tied = space.groups[0]
    names = {*SHAPE_NAMES, "ffn_ratio"}
    others = (space.parameters[name].size for name in space.names if name in names and name not in tied.names)
    return math.prod([len(tied), *(size or 1 for size in others)])


def _ranges(space: Space, trials: list[Point]) -> dict[str, Range]:
    derived = [{**trial.values, **trial.attributes} for trial in trials]
    names = dict.fromkeys(
        name for values in derived for name in values if name not in space.parameters and name not in space.inner
    )
    return {name: Range.of([float(values[name]) for values in derived if name in values]) for name in names}

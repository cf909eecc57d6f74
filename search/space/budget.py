"""Equal budgets: for many shapes at once, the values of one parameter that meet a target.

The FFN width takes what the solved parameter leaves, within the ratios that are allowed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from model.config import MAX_FFN_WIDTH
from search.constraints import DEFAULT_RANGES, SolvedName
from search.space.errors import InfeasibleSpace
from search.space.quantities import AffineQuantity, Numbers
from search.space.shapes import Bools, Floats, Ints, Shapes

FFN_STEPS = (8, 4, 2, 1)
"""Granularity of the FFN width: a coarser one keeps matrix sizes even, a finer one is taken where the tolerance
needs it (assumed)."""

MAX_PAIRS = 5_000_000
"""Most pairs of a shape and a value of the solved parameter looked at for one space (assumed: a few seconds)."""


@dataclass(frozen=True, slots=True)
class Solutions:
    """Networks that meet a budget, by the row that they solve, ascending."""

    row: Ints
    value: Numbers
    """Of the solved parameter."""
    width: Ints
    ffn_width: Ints

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, kept: Bools | Ints) -> "Solutions":
        return Solutions(self.row[kept], self.value[kept], self.width[kept], self.ffn_width[kept])

    @property
    def ffn_ratio(self) -> Floats:
        """The realised ratio."""
        ratio: Floats = self.ffn_width / self.width
        return ratio


@dataclass(frozen=True)
class Budget:
    """``target`` of a quantity, within a relative ``tolerance``, by solving for one parameter."""

    quantity: AffineQuantity
    target: float
    tolerance: float
    solved: SolvedName = "width"
    bounds: tuple[float, float] = DEFAULT_RANGES["width"]
    """Smallest and largest value of the solved parameter."""
    step: int = 1
    """Depth and vocabulary are multiples of it; a width is one of whole heads."""

    def within(self, amount: Numbers) -> Bools:
        """Whether each amount meets the budget."""
        met: Bools = np.abs(amount / self.target - 1) <= self.tolerance
        return met

    def ffn_width(self, shapes: Shapes, low: Floats, high: Floats) -> Ints:
        """The FFN width that takes the remainder in each shape, with a ratio inside [low, high].

        It is 0 where none meets the budget.
        """
        base, channel = self.quantity.without_ffn(shapes), self.quantity.per_ffn_channel(shapes)
        exact = (self.target - base) / channel
        found = np.zeros_like(shapes.width)
        for step in FFN_STEPS:
            least = step * np.maximum(np.ceil(low * shapes.width / step), 1)
            most = step * np.floor(np.minimum(high * shapes.width, MAX_FFN_WIDTH) / step)
            near = np.clip(step * np.rint(exact / step), least, most).astype(np.int64)
            met = (found == 0) & (least <= most) & self.within(base + near * channel)
            found[met] = near[met]
        return found

    def solutions(self, shapes: Shapes, low: Floats, high: Floats) -> Solutions:
        """Every value of the solved parameter that meets the budget at an FFN ratio inside [low, high].

        What ``shapes`` says of the solved parameter is not read.

        Raises:
            InfeasibleSpace: there are too many pairs of a shape and a value to look at.
        """
        row, candidates, value = self._candidates(shapes, low, high)
        ffn_width = self.ffn_width(candidates, low[row], high[row])
        if self.solved == "ffn_ratio":
            value = ffn_width / candidates.width
        return Solutions(row, value, candidates.width, ffn_width)[ffn_width > 0]

    def unit(self, shapes: Shapes) -> Ints:
        """What the solved parameter is a multiple of, in each shape."""
        return shapes.width_unit if self.solved == "width" else np.full(len(shapes), self.step, dtype=np.int64)

    def multiples(self, shapes: Shapes) -> tuple[Ints, Ints]:
        """First and last multiple of ``unit`` in the bounds; a ratio is no multiple, and has one."""
        unit = self.unit(shapes)
        low, high = (1, 1) if self.solved == "ffn_ratio" else self.bounds
        return np.ceil(low / unit).astype(np.int64), np.floor(high / unit).astype(np.int64)

    def with_multiple(self, shapes: Shapes, multiple: Ints) -> Shapes:
        """The shapes with a value of the solved parameter."""
        if self.solved == "ffn_ratio":
            return shapes
        value = {self.solved: multiple * self.unit(shapes)}
        return replace(shapes, **value)  # type: ignore[arg-type]

    def amount(self, shapes: Shapes, multiple: Ints, ratio: Floats) -> Numbers:
        """The quantity at a value of the solved parameter, with a real FFN width."""
        solved = self.with_multiple(shapes, multiple)
        return self.quantity.at(solved, np.minimum(ratio * solved.width, MAX_FFN_WIDTH))

    def _candidates(self, shapes: Shapes, low: Floats, high: Floats) -> tuple[Ints, Shapes, Numbers]:
        """Rows, shapes and values among which every solution is."""
        if self.solved == "ffn_ratio":
            row = np.arange(len(shapes), dtype=np.int64)
            return row, shapes, shapes.width
        least, most = self.multiples(shapes)
        first = first_where(
            lambda multiple: self.amount(shapes, multiple, high) >= self.target * (1 - self.tolerance), least, most
        )
        beyond = first_where(
            lambda multiple: self.amount(shapes, multiple, low) > self.target * (1 + self.tolerance), least, most
        )
        counts = np.maximum(beyond - first, 0)
        if counts.sum() > MAX_PAIRS:
            raise InfeasibleSpace(
                "space",
                f"{counts.sum()} pairs of a shape and a {self.solved} are more than {MAX_PAIRS}",
                "give vocabulary_size or depth a step or choices, a larger head_dim, or the solved parameter a range",
            )
        row = np.repeat(np.arange(len(counts)), counts)
        multiple = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + first[row]
        candidates = self.with_multiple(shapes[row], multiple)
        value: Ints = getattr(candidates, self.solved)
        return row, candidates, value


def first_where(holds: Callable[[Ints], Bools], low: Ints, high: Ints) -> Ints:
    """The first whole number in each [low, high] from which on ``holds``; ``high + 1`` where it never does.

    Bisection: ``holds`` must stay true once it is.
    """
    start, stop = low.copy(), np.maximum(high + 1, low)
    while True:
        open_ = start < stop
        if not open_.any():
            return start
        middle = (start + stop) // 2
        held = holds(middle)
        stop = np.where(open_ & held, middle, stop)
        start = np.where(open_ & ~held, middle + 1, start)

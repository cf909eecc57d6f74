"""Which values go together: batches of whole sequences, widths of whole heads, and equal budgets."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model.config import MAX_FFN_WIDTH, MAX_WIDTH
from model.errors import InvalidInput
from search.space.budget import Bools, Budget, Floats, Ints, Shapes

MAX_PAIRS = 5_000_000
"""Most (shape, width) pairs looked at for one space (assumed: a few seconds)."""

RATIO_SLACK = 2.0
"""Largest factor between a single asked FFN ratio and the realised one, when the width is solved (assumed: adjacent
legal widths of a small network differ by about this factor in ratio)."""

Columns = Mapping[str, NDArray[Any]]


class InfeasibleSpace(InvalidInput):
    """No point satisfies the space and its constraints together."""


class Rule(Protocol):
    """A condition on several parameters at once."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters it ties together, in any order."""

    @property
    def complete(self) -> bool:
        """Whether every listed choice must occur in some legal point."""

    def allows(self, columns: Columns) -> Bools:
        """Which rows of ``columns`` are legal."""

    def refusal(self, columns: Columns) -> InfeasibleSpace:
        """Why no row of ``columns`` is legal."""


@dataclass(frozen=True)
class WholeSequences:
    """A batch holds whole sequences."""

    names: tuple[str, ...] = ("batch_tokens", "sequence_length")
    complete: bool = True

    def allows(self, columns: Columns) -> Bools:
        """Which batches are multiples of their sequence length."""
        legal: Bools = columns["batch_tokens"] % columns["sequence_length"] == 0
        return legal

    def refusal(self, columns: Columns) -> InfeasibleSpace:
        """Name the batch that does not fit."""
        batch, length = columns["batch_tokens"][0], columns["sequence_length"][0]
        reason = f"{batch} is not a multiple of sequence_length {length}"
        return InfeasibleSpace(
            "batch_tokens", reason, f"use multiples of {length}, e.g. {max(batch // length, 1) * length}"
        )


@dataclass(frozen=True)
class WholeHeads:
    """A width holds whole heads, and the heads are shared evenly by the key and value heads."""

    names: tuple[str, ...] = ("width", "head_dim", "kv_heads")
    complete: bool = True

    def allows(self, columns: Columns) -> Bools:
        """Which widths are multiples of head_dim, and of head_dim × kv_heads where that is given."""
        unit = columns["head_dim"] * np.maximum(columns["kv_heads"], 1)
        legal: Bools = (columns["head_dim"] % 2 == 0) & (columns["width"] % unit == 0)
        return legal

    def refusal(self, columns: Columns) -> InfeasibleSpace:
        """Name the width that does not fit."""
        width, head_dim, kv_heads = (int(columns[name][0]) for name in self.names)
        if head_dim % 2:
            return InfeasibleSpace("head_dim", f"{head_dim} is odd and RoPE rotates pairs", "use an even number")
        unit = head_dim * max(kv_heads, 1)
        shared = f" × kv_heads {kv_heads}" if kv_heads else ""
        return InfeasibleSpace(
            "width", f"{width} is not a multiple of head_dim {head_dim}{shared}", f"use multiples of {unit}"
        )


@dataclass(frozen=True)
class EqualBudget:
    """Some legal width meets the budget with an FFN ratio near the asked one.

    ``ratio_range`` is that of a continuous ``ffn_ratio``; when it is None, ``ffn_ratio`` is one of ``names`` and the
    realised ratio may differ from it by :data:`RATIO_SLACK`.
    """

    budget: Budget
    tied_head: bool
    qk_norm: bool
    ratio_range: tuple[float, float] | None
    complete: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The shape parameters; the ratio too, unless it is continuous."""
        shape = ("block", "depth", "vocabulary_size", "head_dim", "kv_heads")
        return shape if self.ratio_range else (*shape, "ffn_ratio")

    def ratios(self, columns: Columns) -> tuple[Floats, Floats]:
        """Smallest and largest legal FFN ratio of each row."""
        if self.ratio_range is None:
            asked = columns["ffn_ratio"].astype(np.float64)
            return asked / RATIO_SLACK, asked * RATIO_SLACK
        rows = len(columns["depth"])
        return np.full(rows, self.ratio_range[0]), np.full(rows, self.ratio_range[1])

    def shapes(self, columns: Columns) -> Shapes:
        """The rows without their ratio."""
        depth, vocabulary_size, head_dim, kv_heads = (
            columns[name].astype(np.int64) for name in ("depth", "vocabulary_size", "head_dim", "kv_heads")
        )
        pangu_pi = columns["block"] == "pangu_pi"
        return Shapes(depth, vocabulary_size, head_dim, kv_heads, pangu_pi, self.tied_head, self.qk_norm)

    def allows(self, columns: Columns) -> Bools:
        """Which rows have at least one legal width.

        Raises:
            InfeasibleSpace: there are too many rows and widths to look at.
        """
        low, high = self.ratios(columns)
        shapes = self.shapes(columns)
        first, last = self.budget.width_multiples(shapes, low, high)
        counts = np.where(shapes.head_dim % 2 == 0, last - first + 1, 0)
        if counts.sum() > MAX_PAIRS:
            raise InfeasibleSpace(
                "space",
                f"{counts.sum()} pairs of a shape and a width are more than {MAX_PAIRS}",
                "give vocabulary_size or depth a step or choices, or a larger head_dim",
            )
        row = np.repeat(np.arange(len(counts)), counts)
        multiple = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + first[row]
        candidates = shapes[row]
        width = multiple * candidates.width_unit
        legal = self.budget.ffn_width(candidates, width, low[row], high[row]) > 0
        return np.bincount(row[legal], minlength=len(counts)) > 0

    def refusal(self, columns: Columns) -> InfeasibleSpace:
        """Say which budgets the space can reach."""
        even = columns["head_dim"] % 2 == 0
        if not even.any():
            return InfeasibleSpace("head_dim", "every value is odd and RoPE rotates pairs", "use even numbers")
        columns = {name: column[even] for name, column in columns.items()}
        shapes, (low, high) = self.shapes(columns), self.ratios(columns)
        smallest = shapes.total(shapes.width_unit, np.maximum(np.ceil(low * shapes.width_unit), 1).astype(np.int64))
        widest = MAX_WIDTH // shapes.width_unit * shapes.width_unit
        largest = shapes.total(widest, np.minimum(high * widest, MAX_FFN_WIDTH).astype(np.int64))
        if smallest.min() > self.budget.target * (1 + self.budget.tolerance):
            return self._too_small(columns, shapes, smallest)
        if largest.max() < self.budget.target * (1 - self.budget.tolerance):
            return self._refuse(
                f"the largest network of the space has {largest.max()} parameters",
                f"set the target to at most {largest.max()}, or offer more depth",
            )
        return self._between(shapes, low, high)

    def _refuse(self, reason: str, remedy: str) -> InfeasibleSpace:
        budget = f"no point has {self.budget.target} parameters within {self.budget.tolerance:.3g}"
        return InfeasibleSpace("constraints.total_parameters.target", f"{budget}: {reason}", remedy)

    def _too_small(self, columns: Columns, shapes: Shapes, smallest: Ints) -> InfeasibleSpace:
        row = int(smallest.argmin())
        given = {name: columns[name][row] for name in self.names if columns[name][row]}
        shape = ", ".join(f"{name} {value if name == 'block' else f'{value:g}'}" for name, value in given.items())
        tables = int(shapes.vocabulary_size[row] * shapes.width_unit[row]) * (1 if self.tied_head else 2)
        return self._refuse(
            f"the smallest network of the space ({shape}) has {smallest[row]}, {tables} of them for the vocabulary",
            f"set the target to at least {smallest[row]}, or offer smaller vocabularies, depths or head_dims",
        )

    def _between(self, shapes: Shapes, low: Floats, high: Floats) -> InfeasibleSpace:
        """The target falls between two legal widths: name the nearest budgets on both sides."""
        middle = (shapes.width_at(self.budget.target, np.sqrt(low * high)) / shapes.width_unit).astype(np.int64)
        totals: list[Ints] = []
        for offset in range(-2, 4):
            width = np.maximum(middle + offset, 1) * shapes.width_unit
            exact = (self.budget.target - shapes.without_ffn(width)) / shapes.per_ffn_channel(width)
            least, most = np.maximum(np.ceil(low * width), 1), np.floor(high * width)
            for rounded in (np.floor(exact), np.ceil(exact)):
                ffn_width = np.clip(rounded, least, most).astype(np.int64)
                totals.append(shapes.total(width, ffn_width)[least <= most])
        near = np.concatenate(totals)
        if not len(near):
            return self._refuse("the range of ffn_ratio holds no whole FFN width", "widen ffn_ratio")
        below, above = near[near <= self.budget.target], near[near >= self.budget.target]
        nearest = [int(side) for side in (below.max(initial=0), above.min(initial=np.iinfo(np.int64).max))]
        nearest = [total for total in nearest if total in near]
        distance = min(abs(total / self.budget.target - 1) for total in nearest)
        tolerance = math.ceil(distance * 1e4) / 1e4
        return self._refuse(
            f"the nearest that legal widths reach: {' and '.join(map(str, nearest))}",
            f"set the target to one of them, widen ffn_ratio, or raise the tolerance to {tolerance:g} or more",
        )

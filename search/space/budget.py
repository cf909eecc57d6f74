"""Equal budgets: parameter counts of many shapes at once, and the FFN width that takes what is left.

The counts are those of :mod:`model.counts`, written for arrays; a test holds the two together.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import MAX_FFN_WIDTH, MAX_WIDTH, SERIES_TERMS, SHORTCUT_REDUCTION

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FFN_STEPS = (8, 4, 2, 1)
"""Granularity of the FFN width: a coarser one keeps matrix sizes even, a finer one is taken where the tolerance
needs it (assumed)."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """Shapes without a width; every array has the same length. ``kv_heads`` 0 means as many as heads."""

    depth: Ints
    vocabulary_size: Ints
    head_dim: Ints
    kv_heads: Ints
    pangu_pi: Bools
    """Which shapes have PanGu-π's block; the others have LLaMA's."""
    tied_head: bool
    qk_norm: bool

    def __getitem__(self, index: Any) -> "Shapes":
        return Shapes(
            self.depth[index],
            self.vocabulary_size[index],
            self.head_dim[index],
            self.kv_heads[index],
            self.pangu_pi[index],
            self.tied_head,
            self.qk_norm,
        )

    @property
    def width_unit(self) -> Ints:
        """What the width must be a multiple of: whole heads, in whole groups of key and value heads."""
        return self.head_dim * np.maximum(self.kv_heads, 1)

    @property
    def _tables(self) -> int:
        return 1 if self.tied_head else 2

    @property
    def _head_norms(self) -> Ints:
        """Gains of the normed queries and keys."""
        gains: Ints = 2 * self.depth * self.head_dim * self.qk_norm
        return gains

    @property
    def _series(self) -> Ints:
        """Scales and shifts of the series activation for one FFN channel."""
        parameters: Ints = 2 * SERIES_TERMS * self.depth * self.pangu_pi
        return parameters

    def without_ffn(self, width: Ints) -> Ints:
        """Parameters beside the FFN: embedding, head, attention (arXiv 2305.13245), its shortcut and norm gains."""
        key_value_width = np.where(self.kv_heads == 0, width, self.kv_heads * self.head_dim)
        shortcut_width = -(-width // SHORTCUT_REDUCTION) * self.pangu_pi
        block = 2 * width * (width + key_value_width + shortcut_width + 1)
        return self._tables * self.vocabulary_size * width + self.depth * block + width + self._head_norms

    def per_ffn_channel(self, width: Ints) -> Ints:
        """Parameters that one more FFN channel adds: three SwiGLU matrices in every block, and its activations."""
        return 3 * self.depth * width + self._series

    def total(self, width: Ints, ffn_width: Ints) -> Ints:
        """All parameters."""
        return self.without_ffn(width) + ffn_width * self.per_ffn_channel(width)

    def width_at(self, parameters: float, ratio: Floats) -> Floats:
        """The real width at which ``parameters`` are spent with FFN width = ratio × width.

        The positive root of A·d² + B·d + C = N, the count above with f = ratio·d (derived). The bottleneck of PanGu-π's
        shortcut counts as d / 32, which is at most one channel below its whole number; that moves the root by less
        than half a channel.
        """
        grouped = self.kv_heads > 0
        quadratic = self.depth * (np.where(grouped, 2, 4) + 3 * ratio + 2 / SHORTCUT_REDUCTION * self.pangu_pi)
        per_block = 2 + 2 * self.kv_heads * self.head_dim
        linear = self._tables * self.vocabulary_size + self.depth * per_block + 1 + ratio * self._series
        left = np.maximum(parameters - self._head_norms, 0)
        root: Floats = (np.sqrt(linear**2 + 4 * quadratic * left) - linear) / (2 * quadratic)
        return root


@dataclass(frozen=True, slots=True)
class Budget:
    """``target`` parameters within a relative ``tolerance``."""

    target: int
    tolerance: float

    def within(self, total: Ints) -> Bools:
        """Whether each count meets the budget."""
        met: Bools = np.abs(total / self.target - 1) <= self.tolerance
        return met

    def ffn_width(self, shapes: Shapes, width: Ints, low: Floats, high: Floats) -> Ints:
        """The FFN width that takes the remainder at each width, with a ratio inside [low, high].

        It is 0 where none meets the budget.
        """
        channel = shapes.per_ffn_channel(width)
        exact = (self.target - shapes.without_ffn(width)) / channel
        found = np.zeros_like(width)
        for step in FFN_STEPS:
            least = step * np.maximum(np.ceil(low * width / step), 1)
            most = step * np.floor(np.minimum(high * width, MAX_FFN_WIDTH) / step)
            near = np.clip(step * np.rint(exact / step), least, most).astype(np.int64)
            met = (found == 0) & (least <= most) & self.within(shapes.total(width, near))
            found[met] = near[met]
        return found

    def width_multiples(self, shapes: Shapes, low: Floats, high: Floats) -> tuple[Ints, Ints]:
        """First and last multiple of ``width_unit`` that could have an FFN ratio inside [low, high]."""
        unit = shapes.width_unit
        smallest = shapes.width_at(self.target * (1 - self.tolerance), high)
        largest = shapes.width_at(self.target * (1 + self.tolerance), low)
        first = np.maximum(np.floor(smallest / unit), 1).astype(np.int64)
        last = np.minimum(np.ceil(largest / unit), MAX_WIDTH // unit).astype(np.int64)
        return first, np.maximum(last, first - 1)


def legal_widths(budget: Budget, shape: Shapes, low: float, high: float) -> tuple[Ints, Ints]:
    """Legal widths of one shape (arrays of length 1) and their FFN widths.

    Legal are widths that meet the budget at an FFN ratio inside [low, high].
    """
    first, last = budget.width_multiples(shape, np.array([low]), np.array([high]))
    width = np.arange(first[0], last[0] + 1, dtype=np.int64) * shape.width_unit[0]
    rows = np.zeros(len(width), dtype=np.int64)
    ffn_width = budget.ffn_width(shape[rows], width, np.array([low])[rows], np.array([high])[rows])
    return width[ffn_width > 0], ffn_width[ffn_width > 0]

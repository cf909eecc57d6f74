"""Shapes of many networks at once, and what their counts are made of.

The counts are those of :mod:`model.counts`, written for arrays; tests hold the two together.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.config import SERIES_TERMS, SHORTCUT_REDUCTION

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Shapes:
    """Networks without their FFN width; every array has the same length. ``kv_heads`` 0 means as many as heads."""

    depth: Ints
    width: Ints
    vocabulary_size: Ints
    head_dim: Ints
    kv_heads: Ints
    sequence_length: Ints
    pangu_pi: Bools
    """Which networks have PanGu-π's block; the others have LLaMA's."""
    tied_head: bool
    qk_norm: bool

    def __len__(self) -> int:
        return len(self.depth)

    def __getitem__(self, index: Any) -> "Shapes":
        values = [getattr(self, field.name) for field in fields(self)]
        return Shapes(*(value[index] if isinstance(value, np.ndarray) else value for value in values))

    @property
    def width_unit(self) -> Ints:
        """What the width must be a multiple of: whole heads, in whole groups of key and value heads."""
        return self.head_dim * np.maximum(self.kv_heads, 1)

    @property
    def key_value_width(self) -> Ints:
        """Channels of all key heads, which are also those of all value heads (arXiv 2305.13245)."""
        return np.where(self.kv_heads == 0, self.width, self.kv_heads * self.head_dim)

    @property
    def table(self) -> Ints:
        """Parameters of a vocabulary table."""
        return self.vocabulary_size * self.width

    @property
    def tables(self) -> int:
        """Number of vocabulary tables."""
        return 1 if self.tied_head else 2

    @property
    def attention_matrices(self) -> Ints:
        """Projections of attention in all blocks, and the two matrices of the augmented shortcut."""
        shortcut_width = -(-self.width // SHORTCUT_REDUCTION) * self.pangu_pi
        return self.depth * 2 * self.width * (self.width + self.key_value_width + shortcut_width)

    @property
    def norms(self) -> Ints:
        """Gains of every norm."""
        gains: Ints = self.depth * (2 * self.width + 2 * self.head_dim * self.qk_norm) + self.width
        return gains

    @property
    def ffn_matrices_per_channel(self) -> Ints:
        """What one more FFN channel adds to the three SwiGLU matrices of all blocks."""
        return 3 * self.depth * self.width

    @property
    def series_per_channel(self) -> Ints:
        """Scales and shifts of the series activation for one FFN channel of all blocks."""
        parameters: Ints = 2 * SERIES_TERMS * self.depth * self.pangu_pi
        return parameters

    @property
    def cached_values_per_position(self) -> Ints:
        """Numbers kept of one position while decoding: a key and a value in each block."""
        return 2 * self.depth * self.key_value_width

    def width_at(self, parameters: float, ratio: Floats) -> Floats:
        """The real width at which ``parameters`` are spent with FFN width = ratio × width, whatever ``width`` is.

        The positive root of A·d² + B·d + C = N, the total count with f = ratio·d (derived). The bottleneck of PanGu-π's
        shortcut counts as d / 32, which is at most one channel below its whole number; that moves the root by less
        than half a channel.
        """
        grouped = self.kv_heads > 0
        quadratic = self.depth * (np.where(grouped, 2, 4) + 3 * ratio + 2 / SHORTCUT_REDUCTION * self.pangu_pi)
        per_block = 2 + 2 * self.kv_heads * self.head_dim
        linear = self.tables * self.vocabulary_size + self.depth * per_block + 1 + ratio * self.series_per_channel
        left = np.maximum(parameters - 2 * self.depth * self.head_dim * self.qk_norm, 0)
        root: Floats = (np.sqrt(linear**2 + 4 * quadratic * left) - linear) / (2 * quadratic)
        return root

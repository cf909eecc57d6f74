"""Shapes at a budget of parameters: the solver of ``search.space.budget`` asked one question at a time."""

import math
from dataclasses import dataclass, replace

import numpy as np

from model.config import MAX_DEPTH, MAX_WIDTH, BlockKind
from model.errors import InvalidInput
from search.space.budget import Budget
from search.space.shapes import Floats, Ints, Shapes

HARDWARE_UNITS = ((300_000_000, 128), (30_000_000, 64))
"""From a budget on, of what matrix dimensions and vocabularies are multiples: tiles of tensor cores hold 64 or 128
values (NVIDIA, Matrix Multiplication Background User's Guide: multiples of 128 bytes). Below, shapes stay as fine as
the solver's steps. The budgets are assumed."""
FFN_RATIOS = (0.25, 16.0)
"""Realised FFN ratios that are accepted (assumed: far outside the paper's 1 to 4, for budgets that only tiny widths
meet; the ratio nearest to the one asked for is taken)."""


def hardware_unit(total_parameters: float) -> int:
    """Of what the dimensions of a network of this size are multiples; 1 where rounding costs more than it saves."""
    return next((unit for least, unit in HARDWARE_UNITS if total_parameters >= least), 1)


@dataclass(frozen=True, slots=True)
class Shape:
    """A depth with the width and the FFN width that meet the budget."""

    depth: int
    width: int
    ffn_width: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What a shape must keep while depth and width vary."""

    budget: Budget
    block: BlockKind
    vocabulary_size: int
    head_dim: int
    kv_heads: int
    """0: as many as query heads."""
    tied_head: bool
    qk_norm: bool
    ffn_ratio: float
    """FFN width over width asked for."""

    def widths(self, depths: Ints) -> Floats:
        """The real width at each depth that spends the budget at the FFN ratio asked for."""
        return self._shapes(depths).width_at(self.budget.target, np.full(len(depths), self.ffn_ratio))

    def depth_at(self, aspect_ratio: float) -> int:
        """The depth whose width / depth is nearest to ``aspect_ratio``, in logs."""
        depths = np.arange(1, MAX_DEPTH + 1, dtype=np.int64)
        widths = self.widths(depths)
        distance = np.abs(np.log(widths / depths / aspect_ratio))
        return int(depths[np.argmin(np.where(widths <= MAX_WIDTH, distance, np.inf))])

    def at_budget(self, total_parameters: float) -> "Frame":
        """The same frame at another budget."""
        return replace(self, budget=replace(self.budget, target=round(total_parameters)))

    def aspect_ratio(self, depth: float) -> float:
        """Width / depth of the real width that spends the budget at a real depth, between whole ones in logs."""
        below = max(math.floor(depth), 1)
        depths = np.array([below, below + 1], dtype=np.int64)
        widths = np.log(self.widths(depths))
        return math.exp(float(np.interp(math.log(depth), np.log(depths), widths))) / depth

    def embedding_share(self, depth: int) -> float:
        """Share of embedding and head in the budget, about: 2·V·d/N untied, V·d/N tied."""
        tables = 1 if self.tied_head else 2
        return float(tables * self.vocabulary_size * self.widths(np.array([depth]))[0] / self.budget.target)

    def solve(self, depth: int) -> Shape | None:
        """The legal shape of this depth whose FFN ratio is nearest to the one asked for, if any meets the budget."""
        low, high = (np.array([ratio]) for ratio in FFN_RATIOS)
        found = self.budget.solutions(self._shapes(np.array([depth])), low, high)
        if not len(found):
            return None
        nearest = int(np.argmin(np.abs(np.log(found.ffn_ratio / self.ffn_ratio))))
        width = int(found.width[nearest])
        return Shape(depth, width, self._even(depth, width, int(found.ffn_width[nearest])))

    def _even(self, depth: int, width: int, ffn_width: int) -> int:
        """The nearest FFN width that hardware likes and the budget allows; the given one where there is none."""
        unit = hardware_unit(self.budget.target)
        rounded = max(round(ffn_width / unit), 1) * unit
        shape = replace(self._shapes(np.array([depth])), width=np.array([width]))
        total = self.budget.quantity.at(shape, np.array([rounded]))
        return rounded if bool(self.budget.within(total)[0]) else ffn_width

    def solve_at_most(self, depth: int) -> Shape:
        """The legal shape of this depth, or of the next smaller depth that has one.

        Raises:
            InvalidInput: no depth meets the budget; names ``total_parameters``.
        """
        for candidate in range(depth, 0, -1):
            shape = self.solve(candidate)
            if shape is not None:
                return shape
        raise InvalidInput(
            "total_parameters",
            f"{self.budget.target} cannot hold a vocabulary of {self.vocabulary_size} and one layer",
            f"ask for at least {self.smallest_total()}",
        )

    def smallest_total(self) -> int:
        """Parameters of the smallest legal shape."""
        shape = self._shapes(np.array([1]))
        ffn_width = np.ceil(FFN_RATIOS[0] * shape.width).astype(np.int64)
        return int(self.budget.quantity.at(shape, ffn_width)[0])

    def _shapes(self, depths: Ints) -> Shapes:
        """Networks of these depths and the smallest width; no number of parameters depends on their sequences."""
        same = np.ones_like(depths)
        return Shapes(
            depth=depths,
            width=self.head_dim * max(self.kv_heads, 1) * same,
            vocabulary_size=self.vocabulary_size * same,
            head_dim=self.head_dim * same,
            kv_heads=self.kv_heads * same,
            sequence_length=same,
            pangu_pi=np.full(len(depths), self.block == "pangu_pi"),
            tied_head=self.tied_head,
            qk_norm=self.qk_norm,
        )

"""What follows from the parameters of a point: its shape, its FFN width, its size and its costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.parameters import PARAMETER_NAMES, TEXT_NAMES
from search.space.budget import Budget, Solutions
from search.space.quantities import EmbeddingShare, NonEmbeddingCount, ParameterCount, Quantity
from search.space.rules import Columns
from search.space.shapes import Bools, Floats, Ints, Shapes

RATIO_SLACK = 2.0
"""Largest factor between a single asked FFN ratio and the realised one, when another parameter is solved (assumed:
adjacent legal widths of a small network differ by about this factor in ratio)."""
FFN_STEP = 8
"""The FFN width is a multiple of this when no budget is solved (assumed)."""

_FFN_NAMES = ("ffn_width", "ffn_ratio_realised")
DERIVED_NAMES = frozenset({*_FFN_NAMES, "heads", "total_parameters", "non_embedding_parameters", "embedding_share"})
"""What follows from a network, and can stand in an expression beside the parameters."""


@dataclass(frozen=True)
class Network:
    """How a network follows from its parameters in one space."""

    tied_head: bool
    qk_norm: bool
    budget: Budget | None
    ratio_range: tuple[float, float] | None
    """Range of a continuous ``ffn_ratio``; None for a single one, a few, or a solved one."""
    quantities: Mapping[str, Quantity]
    """Those that constraints name."""

    @property
    def solved(self) -> str | None:
        """The parameter that a budget is solved for."""
        return None if self.budget is None else self.budget.solved

    @property
    def budget_names(self) -> frozenset[str]:
        """Parameters of which each combination is solved by itself."""
        if self.budget is None:
            return frozenset()
        ratio = () if self.ratio_range or self.solved == "ffn_ratio" else ("ffn_ratio",)
        return frozenset({*self.budget.quantity.reads, "head_dim", "kv_heads", *ratio}) - {self.budget.solved}

    def follows_from_solution(self, name: str) -> bool:
        """Whether a name is known only once the budget is solved."""
        if self.budget is None:
            return False
        needs_width = name in ("heads", "kv_heads") and self.solved == "width"
        return name in {*_FFN_NAMES, self.solved} or name in self._all_quantities or needs_width

    def reads(self, name: str) -> frozenset[str]:
        """The parameters that a name depends on."""
        if self.follows_from_solution(name):
            quantity = self._all_quantities.get(name)
            others = frozenset(quantity.reads if quantity else ("width", "head_dim")) - {self.solved}
            return self.budget_names | others
        if name in ("heads", "kv_heads"):
            return frozenset({"width", "head_dim", *({"kv_heads"} & {name})})
        if name in _FFN_NAMES:
            return frozenset({"width", "ffn_ratio"})
        if name in self._all_quantities:
            return frozenset({*self._all_quantities[name].reads, "ffn_ratio"})
        return frozenset({name})

    def shapes(self, columns: Columns) -> Shapes:
        """The networks of some points, without their FFN; a solved parameter that is not known yet is 0."""
        rows = len(columns["depth"])
        unknown = np.zeros(rows, dtype=np.int64)
        names = ("depth", "width", "vocabulary_size", "head_dim", "kv_heads", "sequence_length")
        sizes = {name: columns[name].astype(np.int64) if name in columns else unknown for name in names}
        return Shapes(**sizes, pangu_pi=columns["block"] == "pangu_pi", tied_head=self.tied_head, qk_norm=self.qk_norm)

    def ratio_bounds(self, asked: Floats, in_range: Bools) -> tuple[Floats, Floats]:
        """Smallest and largest legal FFN ratio of some points, of which ``in_range`` have the continuous ratio."""
        if self.budget is not None and self.solved == "ffn_ratio":
            low, high = self.budget.bounds
            return np.full(len(asked), low), np.full(len(asked), high)
        low, high = self.ratio_range or (1.0, 1.0)
        free = in_range if self.ratio_range else np.zeros(len(asked), dtype=bool)
        return np.where(free, low, asked / RATIO_SLACK), np.where(free, high, asked * RATIO_SLACK)

    def solutions(self, columns: Columns, in_range: Bools) -> Solutions:
        """The networks of some points that meet the budget.

        Raises:
            InfeasibleSpace: there are too many to look at.
        """
        assert self.budget is not None
        low, high = self.ratio_bounds(columns["ffn_ratio"].astype(np.float64), in_range)
        return self.budget.solutions(self.shapes(columns), low, high)

    def ffn_width(self, columns: Columns, in_range: Bools) -> Ints:
        """The FFN width of points whose every parameter is known; 0 where none meets the budget."""
        asked, width = columns["ffn_ratio"].astype(np.float64), columns["width"].astype(np.int64)
        if self.budget is None:
            return unsolved_ffn_width(asked, width)
        return self.budget.ffn_width(self.shapes(columns), *self.ratio_bounds(asked, in_range))

    def derive(self, columns: Columns, names: tuple[str, ...]) -> dict[str, Any]:
        """The columns with those of ``names`` that follow from them."""
        found = dict(columns)
        asked = set(names) - {name for name in names if name in columns and name != "kv_heads"}
        if asked - {"heads", "kv_heads"} and "ffn_width" not in found:
            found["ffn_width"] = unsolved_ffn_width(columns["ffn_ratio"], columns["width"])
        for name in asked:
            found[name] = self._derived(name, columns, found)
        return found

    def _derived(self, name: str, columns: Columns, found: Mapping[str, Any]) -> Any:
        if name in ("heads", "kv_heads"):
            heads = columns["width"] // columns["head_dim"]
            return heads if name == "heads" else np.where(columns["kv_heads"] == 0, heads, columns["kv_heads"])
        if name == "ffn_width":
            return found["ffn_width"]
        if name == "ffn_ratio_realised":
            return found["ffn_width"] / columns["width"]
        return self._all_quantities[name].at(self.shapes(columns), found["ffn_width"])

    @property
    def _all_quantities(self) -> dict[str, Quantity]:
        plain: tuple[Quantity, ...] = (ParameterCount(), NonEmbeddingCount(), EmbeddingShare())
        return {**{quantity.name: quantity for quantity in plain}, **self.quantities}


def unsolved_ffn_width(ratio: Floats, width: Ints) -> Ints:
    """The FFN width where no budget is solved: the asked ratio, rounded to whole steps, at least one."""
    rounded = FFN_STEP * np.rint(ratio * width / FFN_STEP)
    width_steps: Ints = np.maximum(rounded, FFN_STEP).astype(np.int64)
    return width_steps


def known_numbers(quantities: Mapping[str, Quantity]) -> frozenset[str]:
    """Names that an expression may use."""
    return (PARAMETER_NAMES - TEXT_NAMES) | DERIVED_NAMES | quantities.keys()

"""Which values go together: batches of whole sequences, widths of whole heads, limits and expressions."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from search.space.errors import InfeasibleSpace
from search.space.expressions import Expression
from search.space.shapes import Bools

Columns = Mapping[str, NDArray[Any]]
"""Values by the names of parameters, and of what follows from them, for many points at once."""


class Rule(Protocol):
    """A condition on several parameters at once."""

    @property
    def field(self) -> str:
        """Where it stands in the spec; empty for what every network needs."""

    @property
    def text(self) -> str:
        """What it demands, in a few words."""

    @property
    def names(self) -> tuple[str, ...]:
        """What it reads, in any order."""

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

    field: str = ""
    text: str = "a batch holds whole sequences"
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
class EvenHeads:
    """RoPE rotates pairs of a head's channels."""

    field: str = ""
    text: str = "a head has an even number of channels"
    names: tuple[str, ...] = ("head_dim",)
    complete: bool = False

    def allows(self, columns: Columns) -> Bools:
        """Which heads are even."""
        legal: Bools = columns["head_dim"] % 2 == 0
        return legal

    def refusal(self, columns: Columns) -> InfeasibleSpace:
        """Every head is odd."""
        return InfeasibleSpace("head_dim", "every value is odd and RoPE rotates pairs", "use even numbers")


@dataclass(frozen=True)
class WholeHeads:
    """A width holds whole heads, and the heads are shared evenly by the key and value heads."""

    field: str = ""
    text: str = "a width holds whole heads"
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
class QuantityLimit:
    """A quantity lies inside bounds."""

    quantity: str
    """Its column."""
    unit: str
    low: float | None
    high: float | None
    complete: bool = False

    @property
    def field(self) -> str:
        """Where it stands in the spec."""
        return f"constraints.{self.quantity}"

    @property
    def text(self) -> str:
        """The bounds."""
        low = "" if self.low is None else f"{self.low:g} <= "
        high = "" if self.high is None else f" <= {self.high:g}"
        return f"{low}{self.quantity}{high}"

    @property
    def names(self) -> tuple[str, ...]:
        """Its column."""
        return (self.quantity,)

    def allows(self, columns: Columns) -> Bools:
        """Which amounts lie inside the bounds."""
        amount = columns[self.quantity]
        legal = np.ones(len(amount), dtype=bool)
        if self.low is not None:
            legal &= amount >= self.low
        if self.high is not None:
            legal &= amount <= self.high
        return legal

    def refusal(self, columns: Columns) -> InfeasibleSpace:
        """Say between which amounts the space lies."""
        amount = columns[self.quantity]
        smallest, largest = amount.min(), amount.max()
        if self.high is not None and smallest > self.high:
            reason, remedy = (
                f"the smallest network of the space has {smallest:.6g}",
                f"raise high to {_above(smallest)}",
            )
        elif self.low is not None and largest < self.low:
            reason, remedy = (
                f"the largest network of the space has {largest:.6g}",
                f"lower low to {_above(-largest)[1:]}",
            )
        else:
            reason, remedy = "the space has networks on both sides of it, and none inside", "widen it"
        return InfeasibleSpace(self.field, f"no point has {self.text} ({self.unit}): {reason}", remedy)


@dataclass(frozen=True)
class ExpressionRule:
    """A comparison that the user wrote holds."""

    expression: Expression
    field: str
    complete: bool = False

    @property
    def text(self) -> str:
        """The comparison."""
        return self.expression.text

    @property
    def names(self) -> tuple[str, ...]:
        """What it reads."""
        return self.expression.names

    def allows(self, columns: Columns) -> Bools:
        """Which rows satisfy it."""
        return self.expression.holds(columns)

    def refusal(self, columns: Columns) -> InfeasibleSpace:
        """Show the ranges of what it reads."""
        ranges = ", ".join(f"{name} {_range(columns[name])}" for name in self.names)
        reason = f"no point satisfies {self.text}, with {ranges}"
        return InfeasibleSpace(self.field, reason, "widen the space, or change the expression")


def _above(amount: float) -> str:
    """An amount in six figures, rounded up."""
    shown = Decimal(float(amount)).normalize(Context(prec=6, rounding=ROUND_CEILING))
    return f"{shown:f}" if abs(shown) >= 1 else f"{shown:.6g}"


def _range(column: NDArray[Any]) -> str:
    low, high = column.min(), column.max()
    return f"{low:.6g}" if low == high else f"from {low:.6g} to {high:.6g}"

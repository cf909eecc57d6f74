"""Which layers of a larger network are kept; no torch.

The paper's finding is that the first and last layers matter and the middle is redundant (arXiv 2402.02791, F4). It
skipped one to three layers in a row; the choice here follows from such a table.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from operator import itemgetter
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from model.config import FrozenConfig

MAX_SKIPPED = 3
"""Most consecutive layers that are skipped at once (arXiv 2402.02791, F4)."""

LayerMethod = Literal["importance", "uniform", "first"]
"""``importance`` keeps the ends and drops the layers whose absence costs least; ``uniform`` keeps every n-th one."""

_Plan = tuple[float, tuple[int, Any] | None]
"""Bits per byte, and the dropped layers as a linked list."""


class LayerImportance(FrozenConfig):
    """Bits per byte of a network of L layers with some consecutive layers skipped."""

    bits_per_byte: float
    """With no layer skipped."""
    skipped: Annotated[tuple[tuple[float, ...], ...], Field(max_length=MAX_SKIPPED)]
    """``skipped[n - 1][i]``: without the layers i to i + n - 1, for n = 1 to min(3, L - 1) and i = 0 to L - n."""

    @property
    def depth(self) -> int:
        """L; a network of one layer can skip none."""
        return len(self.skipped[0]) if self.skipped else 1

    @model_validator(mode="after")
    def _check_rows(self) -> Self:
        expected = [self.depth - n for n in range(min(MAX_SKIPPED, self.depth - 1))]
        if [len(row) for row in self.skipped] != expected:
            raise ValueError(f"a network of {self.depth} layers has rows of {expected} values")
        return self

    def cost(self, first: int, count: int) -> float:
        """Bits per byte lost by skipping ``count`` layers from ``first`` on, at most ``MAX_SKIPPED``."""
        return self.skipped[count - 1][first] - self.bits_per_byte if count else 0.0


def choose_layers(
    method: LayerMethod, importance: LayerImportance | None, parent_depth: int, depth: int
) -> tuple[int, ...]:
    """Layers of the parent that are kept, ascending.

    ``uniform`` keeps layer ⌊i · L / depth⌋ for i = 0 … depth - 1, every n-th one where n divides L (as DistilBERT,
    arXiv 1910.01108, section 3). ``first`` keeps those nearest the embedding. ``importance`` needs the table.
    """
    if method == "first":
        return tuple(range(depth))
    if method == "uniform":
        return tuple(index * parent_depth // depth for index in range(depth))
    if importance is None or importance.depth != parent_depth:
        raise ValueError(f"the importance of {parent_depth} layers is needed")
    dropped = set(_cheapest(importance, parent_depth - depth))
    return tuple(layer for layer in range(parent_depth) if layer not in dropped)


def removal_cost(importance: LayerImportance, dropped: Sequence[int]) -> float:
    """Estimate of the bits per byte that are lost without all of ``dropped``.

    Runs of dropped layers are taken to add up. A run of up to three layers costs what was measured. In a longer one
    each further layer costs what it cost as the last of the measured run of three that it ends: the third column less
    the second, of the two layers before it. The table holds all of these, and nothing longer was measured.
    """
    there = set(dropped)
    total = 0.0
    for layer in sorted(there):
        before = next(n for n in range(MAX_SKIPPED) if n == MAX_SKIPPED - 1 or layer - n - 1 not in there)
        total += _marginal(importance, layer, before)
    return total


def _marginal(importance: LayerImportance, layer: int, before: int) -> float:
    """What dropping ``layer`` costs when the ``before`` layers before it, 0 to 2, are dropped too."""
    return importance.cost(layer - before, before + 1) - importance.cost(layer - before, before)


def _cheapest(importance: LayerImportance, count: int) -> Iterator[int]:
    """The ``count`` layers of least ``removal_cost``; neither end is among them unless one layer alone is kept.

    What the layers from any one on cost depends on how many of them are dropped and how many were dropped just before:
    a shortest path of L · count · 3 states. Of equals the later layers are dropped.
    """
    depth = importance.depth
    ends = (0, depth - 1) if depth - count > 1 else ()
    plans: dict[tuple[int, int], _Plan] = {(0, before): (0.0, None) for before in range(MAX_SKIPPED)}
    for layer in reversed(range(depth)):
        after, plans = plans, {}
        for remaining, before in product(range(count + 1), range(MAX_SKIPPED)):
            if before > min(layer, count - remaining):
                continue
            options = [after[remaining, 0]] if (remaining, 0) in after else []
            run = min(before + 1, MAX_SKIPPED - 1)
            if layer not in ends and (remaining - 1, run) in after:
                cost, dropped = after[remaining - 1, run]
                options.append((cost + _marginal(importance, layer, before), (layer, dropped)))
            if options:
                plans[remaining, before] = min(options, key=itemgetter(0))
    dropped = plans[count, 0][1]
    while dropped is not None:
        layer, dropped = dropped
        yield layer

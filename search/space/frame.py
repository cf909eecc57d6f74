"""What the rules of a space are checked against: what varies, what is fixed, and what follows."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.parameters import Choice, Parameter
from search.space.budget import MAX_PAIRS
from search.space.conditions import Conditions
from search.space.errors import InfeasibleSpace
from search.space.network import Network
from search.space.rules import Columns, Rule
from search.space.shapes import Bools


@dataclass(frozen=True)
class Frame:
    """The parts of a space that every rule is checked against."""

    parameters: Mapping[str, Parameter]
    inner: Mapping[str, Sequence[Choice]]
    fixed: Mapping[str, Any]
    """Values of the parameters that nothing varies, or that do not exist in a row."""
    conditions: Conditions
    network: Network

    def ties(self, rule: Rule) -> frozenset[str]:
        """The parameters that a rule depends on; what users write may read what follows from them."""
        reads = self.network.reads if rule.field else lambda name: frozenset({name})
        return frozenset().union(*map(reads, rule.names))

    def allows(self, rule: Rule, columns: Columns, rows: int) -> Bools:
        """Which rows satisfy a rule at each combination of the inner values that it depends on.

        Raises:
            InfeasibleSpace: there are too many combinations to look at.
        """
        legal = np.ones(rows, dtype=bool)
        for seen in self._at_inner_values(rule, columns, rows):
            legal &= rule.allows(seen)
        return legal

    def refusal(self, rule: Rule, columns: Columns, rows: int) -> InfeasibleSpace:
        """Why no row satisfies a rule."""
        for seen in self._at_inner_values(rule, columns, rows):
            if not rule.allows(seen).any():
                return rule.refusal(seen)
        tied = next(name for name in self.inner if name in self.ties(rule))
        return InfeasibleSpace(f"inner.{tied}", "no point of the space is legal at every inner value", "remove some")

    def _at_inner_values(self, rule: Rule, columns: Columns, rows: int) -> Iterator[Columns]:
        """The columns of a rule at each combination of the inner values that it depends on."""
        tied = [name for name in self.inner if name in self.ties(rule)]
        size = math.prod(len(self.inner[name]) for name in tied)
        if rows * size > MAX_PAIRS:
            reason = f"{rows} combinations are checked at each of {size} of {' × '.join(tied)}, which are too many"
            raise InfeasibleSpace("inner", reason, "shorten the grids, or give the space larger steps")
        for combination in itertools.product(*(self.inner[name] for name in tied)):
            given = {**self.fixed, **dict(zip(tied, combination, strict=True))}
            full = {name: np.broadcast_to(value, (rows,)) for name, value in given.items() if name not in columns}
            seen: Columns = {**full, **columns}
            yield self.network.derive(seen, rule.names) if rule.field else seen

"""What the rules of a space are checked against: what varies, what is fixed, and what follows."""

import itertools
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

MAX_AT_ONCE = 200_000
"""Most rows that a rule is given at once (assumed: tens of megabytes)."""


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
        for seen, combinations in self._at_inner_values(rule, columns, rows):
            legal &= rule.allows(seen).reshape(combinations, rows).all(axis=0)
        return legal

    def refusal(self, rule: Rule, columns: Columns, rows: int) -> InfeasibleSpace:
        """Why no row satisfies a rule."""
        for seen, combinations in self._at_inner_values(rule, columns, rows):
            nowhere = ~rule.allows(seen).reshape(combinations, rows).any(axis=1)
            if nowhere.any():
                start = int(nowhere.argmax()) * rows
                return rule.refusal({name: column[start : start + rows] for name, column in seen.items()})
        tied = next(name for name in self.inner if name in self.ties(rule))
        return InfeasibleSpace(f"inner.{tied}", "no point of the space is legal at every inner value", "remove some")

    def _at_inner_values(self, rule: Rule, columns: Columns, rows: int) -> Iterator[tuple[Columns, int]]:
        """The columns of a rule at some combinations of the inner values that it depends on, one after the other, and
        how many combinations they are.
        """
        tied = [name for name in self.inner if name in self.ties(rule) and name not in columns]
        combinations = list(itertools.product(*(self.inner[name] for name in tied)))
        if rows * len(combinations) > MAX_PAIRS:
            reason = f"{rows} combinations are checked at {len(combinations)} of {' × '.join(tied)}, which are too many"
            raise InfeasibleSpace("inner", reason, "shorten the grids, or give the space larger steps")
        at_once = max(MAX_AT_ONCE // max(rows, 1), 1)
        for start in range(0, len(combinations), at_once):
            some = combinations[start : start + at_once]
            inner = {name: np.repeat([values[axis] for values in some], rows) for axis, name in enumerate(tied)}
            outer = {name: np.tile(column, len(some)) for name, column in columns.items()}
            fixed = {name: np.broadcast_to(value, (rows * len(some),)) for name, value in self.fixed.items()}
            seen: Columns = {**fixed, **inner, **outer}
            yield self.network.derive(seen, rule.names) if rule.field else seen, len(some)

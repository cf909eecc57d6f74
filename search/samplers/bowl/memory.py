"""What a search has tried and what came of it, as rows and standardised values."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search.events import Value
from search.problem import Values
from search.samplers.bowl.coordinates import Floats
from search.samplers.bowl.outcomes import losses, standardised
from search.samplers.bowl.prior import Rows
from search.settings import Objective

MAX_MODELLED = 96
"""Most points with a value that are modelled: the best half, and a random half of the others (assumed)."""
MAX_RUNNING = 24
"""Most running points that are kept apart, the latest (assumed). Together fewer than 128 rows, from which on OpenBLAS
factors a matrix in several threads (measured: 0.1 ms become 10 where the cores are busy)."""


class Memory:
    """The points of this study by outer index, and those of earlier studies.

    Args:
        objectives: what the values are.
        earlier: for each earlier study, its points, a row each, and what came of them.
    """

    def __init__(
        self, objectives: Sequence[Objective], earlier: Sequence[tuple[Sequence[Rows], Sequence[Values | None]]]
    ) -> None:
        self._objectives = objectives
        self._earlier = earlier
        self._rows: dict[int, Rows] = {}
        self._parameters: dict[int, Mapping[str, Value]] = {}
        self._told: dict[int, Values | None] = {}

    def start(self, outer: int, parameters: Mapping[str, Value], row: Rows) -> None:
        """A point runs; one that had this index before is forgotten."""
        self._rows[outer], self._parameters[outer] = row, parameters
        self._told.pop(outer, None)

    def forget(self, outer: int) -> None:
        """A point will not run after all."""
        self._rows.pop(outer, None)

    def tell(self, outer: int, values: Values | None) -> None:
        """What came of a point; None when it failed."""
        self._told[outer] = values

    def known(self, generator: np.random.Generator) -> tuple[Rows | None, Floats, list[Mapping[str, Value]]]:
        """Points with a value and then running ones; the values of the first; the tried points, the best one first.

        The values are standardised within each study, since those of two studies do not compare.
        """
        weights = generator.dirichlet(np.ones(len(self._objectives)))
        ended = [outer for outer in self._rows if outer in self._told]
        running = [outer for outer in self._rows if outer not in self._told][-MAX_RUNNING:]
        own = losses([self._told[outer] for outer in ended], self._objectives, weights)
        best_first = [self._parameters[ended[index]] for index in np.argsort(own) if np.isfinite(own[index])]
        parts = [self._rows[outer] for outer in ended]
        values = [standardised(own)]
        for rows, told in self._earlier:
            parts += rows
            values.append(standardised(losses(told, self._objectives, weights)))
        together = np.concatenate(values)
        kept = _thinned(together, len(ended), generator)
        modelled = [parts[index] for index in kept] + [self._rows[outer] for outer in running]
        return Rows.joined(modelled) if modelled else None, together[kept], best_first


def _thinned(values: Floats, own: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Which points are modelled; the first ``own`` are of this study, and come before those of earlier ones."""
    if len(values) <= MAX_MODELLED:
        return np.arange(len(values))
    order = np.lexsort((values, np.arange(len(values)) >= own))
    best, others = order[: MAX_MODELLED // 2], order[MAX_MODELLED // 2 :]
    return np.sort(np.concatenate([best, generator.choice(others, MAX_MODELLED - len(best), replace=False)]))

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

CONCENTRATION = 2.0
"""Of the Dirichlet distribution of the objectives' weights (assumed: above 1, the middle of a front is looked at more
often than its ends)."""


class Memory:
    """The points by outer index, in the order in which they were begun."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._objectives = objectives
        self._rows: dict[int, Rows] = {}
        self._parameters: dict[int, Mapping[str, Value]] = {}
        self._told: dict[int, Values | None] = {}

    def start(self, outer: int, parameters: Mapping[str, Value], row: Rows) -> None:
        """A point runs; one that had this index before is forgotten."""
        self.forget(outer)
        self._rows[outer], self._parameters[outer] = row, parameters

    def forget(self, outer: int) -> None:
        """A point will not run after all."""
        for kept in (self._rows, self._parameters, self._told):
            kept.pop(outer, None)

    def tell(self, outer: int, values: Values | None) -> None:
        """What came of a point; None when it failed."""
        self._told[outer] = values

    def known(self, generator: np.random.Generator) -> tuple[Rows | None, Floats, list[Mapping[str, Value]]]:
        """Points with a value and then running ones; the values of the first; all with a value, the best one first.

        The values are standardised within each study, since those of two studies do not compare.
        """
        ended = [outer for outer in self._rows if outer in self._told]
        running = [outer for outer in self._rows if outer not in self._told][-MAX_RUNNING:]
        values = self._standardised(ended, generator)
        kept = self._thinned(ended, values, generator)
        modelled = [self._rows[ended[index]] for index in kept.tolist()] + [self._rows[outer] for outer in running]
        best_first = [self._parameters[ended[index]] for index in np.argsort(values, kind="stable").tolist()]
        return Rows.joined(modelled) if modelled else None, values[kept], best_first

    def _standardised(self, ended: Sequence[int], generator: np.random.Generator) -> Floats:
        weights = generator.dirichlet(np.full(len(self._objectives), CONCENTRATION))
        studies = self._studies(ended)
        values = np.zeros(len(ended))
        for study in np.unique(studies):
            of_study = np.flatnonzero(studies == study)
            told = [self._told[ended[index]] for index in of_study.tolist()]
            values[of_study] = standardised(losses(told, self._objectives, weights))
        return values

    def _studies(self, ended: Sequence[int]) -> NDArray[np.int64]:
        return np.array([self._rows[outer].study[0] for outer in ended], dtype=np.int64)

    def _thinned(self, ended: Sequence[int], values: Floats, generator: np.random.Generator) -> NDArray[np.int64]:
        """Which points are modelled; those of this study come before those of earlier ones."""
        if len(ended) <= MAX_MODELLED:
            return np.arange(len(ended))
        order = np.lexsort((values, self._studies(ended) > 0))
        best, others = order[: MAX_MODELLED // 2], order[MAX_MODELLED // 2 :]
        return np.sort(np.concatenate([best, generator.choice(others, MAX_MODELLED - len(best), replace=False)]))

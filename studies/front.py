"""The Pareto front of a study with several objectives, and which of its trials is called the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Front:
    """Complete trials of which none is as good in every objective and better in one."""

    numbers: tuple[int, ...]
    """Their numbers, the best one by the first objective first; equal ones by number."""
    knee: int | None
    """The trial at which giving up a little of one objective gains most of the others; see ``search.pareto.knee``.
    None of an empty front."""

    def shortened(self, size: int) -> tuple[int, ...]:
        """At most ``size`` of the numbers, the first ones; the knee takes the place of the last one if it was cut."""
        kept = self.numbers[:size]
        return kept if self.knee is None or self.knee in kept else (*kept[:-1], self.knee)


def find_front(directions: Sequence[str], values: Mapping[int, tuple[float, ...]]) -> Front:
    """Find the front among complete trials.

    Args:
        directions: ``minimize`` or ``maximize``, of each objective.
        values: the objectives of each trial, by number; those that are not finite do not count.
    """
    import numpy as np  # a tenth of a second that commands with one objective need not take

    from search.pareto import as_costs, is_on_front, knee

    numbers = np.array([number for number, of in values.items() if all(map(math.isfinite, of))], dtype=np.int64)
    if not len(numbers):
        return Front((), None)
    costs = as_costs([values[int(number)] for number in numbers], directions)
    chosen = np.flatnonzero(is_on_front(costs))
    ordered = chosen[np.lexsort((numbers[chosen], costs[chosen, 0]))]
    return Front(tuple(numbers[ordered].tolist()), int(numbers[ordered[knee(costs[ordered])]]))

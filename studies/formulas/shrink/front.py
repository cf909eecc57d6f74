"""The networks on the Pareto front of loss and budget, and TinyNet's regression on them."""

import numpy as np
from numpy.typing import NDArray

from studies.formulas.shrink.surface import Floats

KEPT_SHARE = 0.2
"""Of the networks that are kept: front after front until there are as many (TinyNet keeps 20 %; arXiv 2010.14819)."""


def near_front(budgets: Floats, costs: Floats) -> NDArray[np.bool_]:
    """Networks that no other beats with a smaller or equal budget, then those that only these beat, and so on."""
    order = np.lexsort((costs, budgets))
    kept = np.zeros(len(costs), dtype=np.bool_)
    wanted = KEPT_SHARE * len(costs)
    while kept.sum() < wanted:
        rest = order[~kept[order]]
        lowest = np.minimum.accumulate(costs[rest])
        first = np.concatenate([[True], costs[rest][1:] < lowest[:-1]])
        kept[rest[first]] = True
    return kept


def front_exponents(budget: Floats, dimensions: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Slopes of the log dimensions on the log budget over the networks kept, shape (p,); NaN without a span."""
    x = budget[kept] - budget[kept].mean()
    if not float(x @ x) > 1e-9:
        return np.full(dimensions.shape[1], np.nan)
    slopes: Floats = x @ dimensions[kept] / (x @ x)
    return slopes

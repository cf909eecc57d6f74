"""From what trials told to the numbers that are modelled."""

from collections.abc import Sequence

import numpy as np

from search.problem import Values
from search.samplers.bowl.coordinates import Floats
from search.settings import Objective

WORST = 2.0
"""Values this many times as far above the median as the best one is below are cut off there: how bad a bad point is
says nothing of the bowl's floor. A failed point counts as one of them (chosen on docs/benchmarks.md)."""
BALANCE = 0.05
"""ρ of ParEGO (Knowles 2006, equation 2)."""


def losses(told: Sequence[Values | None], objectives: Sequence[Objective], weights: Floats) -> Floats:
    """One number for each outcome, smaller is better, shape (n,); NaN where it failed.

    Several objectives become one by the augmented Tchebycheff norm (ParEGO, Knowles 2006, section III), on the range
    that their values have. With weights drawn anew for each suggestion, the search goes for all of the Pareto front.
    """
    if not told:
        return np.zeros(0)
    signs = np.array([1.0 if objective.direction == "minimize" else -1.0 for objective in objectives])
    table = signs * np.array([(np.nan,) * len(signs) if values is None else values for values in told])
    if len(signs) == 1:
        return np.asarray(table[:, 0])
    known = table[np.isfinite(table).all(1)]
    if not len(known):
        return np.full(len(told), np.nan)
    low, high = known.min(0), known.max(0)
    weighted = weights * (table - low) / np.where(high > low, high - low, 1.0)
    return np.asarray(weighted.max(1) + BALANCE * weighted.sum(1))


def standardised(values: Floats) -> Floats:
    """Values of one study with mean 0 and standard deviation 1, the worst cut off; of failures alone, all 1."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.ones(len(values))
    middle, best = np.median(known), known.min()
    worst = middle + WORST * (middle - best)
    if worst <= best:
        worst = best + 1.0
    cut = np.minimum(np.where(np.isfinite(values), values, worst), worst)
    return np.asarray((cut - cut.mean()) / (cut.std() or 1.0))

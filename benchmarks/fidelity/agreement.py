"""How far two rankings of the same configs agree, where their order is known.

Two runs closer than twice the noise between seeds have no known order, and the pair is left out. Spearman's coefficient
is a sum over pairs (Daniels 1944, Biometrika 33: Γ = Σ a_ij b_ij / √(Σ a_ij² Σ b_ij²), Spearman's with differences of
ranks for a and b), so that leaving pairs out is well defined; with all pairs it is the usual one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

KNOWN_ABOVE = 2.0
"""Standard deviations between seeds that two runs must lie apart for their order to be known (assumed: 1.4 of the
deviations of their difference)."""
RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two rankings of the same configs; NaN where nothing can be said."""

    spearman: float
    """Over the pairs of known order."""
    low: float
    high: float
    """Percentile interval of resampled configs (Efron and Tibshirani 1993, chapter 13)."""
    level: float
    spearman_of_all: float
    """Over all pairs, noise included."""
    pairs: int
    known_pairs: int


def agreement(
    first: Sequence[float], second: Sequence[float], noises: tuple[float, float], generator: np.random.Generator
) -> Agreement:
    """Compare the values of the same configs in two settings; a diverged run is infinite, the worst.

    Args:
        first: value of each config in one setting.
        second: the same in the other.
        noises: standard deviation between seeds in each setting.
        generator: draws the resamples.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    known = known_order(one, noises[0]) & known_order(other, noises[1])
    n = one.size
    drawn = (generator.integers(0, n, n) for _ in range(RESAMPLES))
    resampled = [spearman(one[rows], other[rows], known[np.ix_(rows, rows)]) for rows in drawn]
    usable = [value for value in resampled if not math.isnan(value)]
    tails = (1 - LEVEL) / 2
    low, high = np.quantile(usable, [tails, 1 - tails]).tolist() if usable else (math.nan, math.nan)
    return Agreement(
        spearman=spearman(one, other, known),
        low=low,
        high=high,
        level=LEVEL,
        spearman_of_all=spearman(one, other, ~np.eye(n, dtype=np.bool_)),
        pairs=n * (n - 1) // 2,
        known_pairs=int(known.sum()) // 2,
    )


def known_order(values: Floats, noise: float) -> Bools:
    """Whether each pair ``ij`` lies further apart than ``KNOWN_ABOVE`` deviations; two diverged runs do not."""
    with np.errstate(invalid="ignore"):
        known: Bools = np.abs(values[:, None] - values[None, :]) > KNOWN_ABOVE * noise
    return known


def spearman(first: Floats, second: Floats, counted: Bools) -> float:
    """Spearman's coefficient over the pairs ``counted``; NaN where there is none, or one side has only ties.

    Ranks too come from those pairs alone: what a value's order to another is does not matter where it is not known.
    """
    one, other = (
        np.subtract.outer(ranks, ranks)[counted] for ranks in (_ranks(first, counted), _ranks(second, counted))
    )
    scale = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / scale if scale else math.nan


def _ranks(values: Floats, counted: Bools) -> Floats:
    """Half of (values below - values above) of each value: with all pairs, its average rank up to a constant."""
    below, above = values[:, None] > values[None, :], values[:, None] < values[None, :]
    ranks: Floats = ((below & counted).sum(axis=1) - (above & counted).sum(axis=1)) / 2
    return ranks


def standard_deviation(values: Sequence[float]) -> float:
    """Between seeds, with one degree of freedom for the mean."""
    return float(np.std(np.asarray(values, dtype=np.float64), ddof=1))

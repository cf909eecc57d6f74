"""Paired differences between methods: t intervals, Holm's correction, tests of equivalence.

Everything that a formula says is one family: each pair's sign (two-sided), and for each claim of equality that the
difference lies within the margin (two one-sided tests: Schuirmann 1987, J. Pharmacokinet. Biopharm. 15(6)) and that it
lies beyond it. Holm's step-down p-values (1979, Scand. J. Stat. 6(2)) decide; the probability of any false decision is
then at most 5 %. Intervals are Bonferroni's over the same family: they hold all at once with 95 %. Where one excludes
zero, or lies within the margin, Holm decides so too; he also decides some whose interval still reaches that far.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from studies.formulas.comparisons.blocks import Blocks
from studies.formulas.comparisons.kinds import MARGIN_SHARE, Claim, Comparison
from studies.formulas.fitting.fit import Interval

Floats = NDArray[np.float64]
ALPHA = 0.05
MIN_PAIRS = 3
"""Fewest pairs that are compared (assumed: two tell next to nothing of their scatter)."""
SMALLEST_ERROR = 1e-12
"""Of a difference, in shares of the costs: methods that are the same bit by bit differ by rounding (derived)."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The cost of ``second`` less that of ``first``, over the units that have both."""

    first: str
    second: str
    pairs: int
    estimate: float
    error: float
    """Standard error."""
    interval: Interval
    """Simultaneous."""
    p: float
    adjusted: float
    """Holm's p that the difference is not zero."""

    @property
    def decided(self) -> bool:
        """Whether the sign is."""
        return self.adjusted <= ALPHA


@dataclass(frozen=True, slots=True)
class Equality:
    """Whether a difference lies within a margin, or beyond."""

    margin: float
    within: float
    """Holm's p."""
    beyond: float


@dataclass(frozen=True, slots=True)
class Family:
    """All pairs with at least ``MIN_PAIRS`` units."""

    pairs: Mapping[tuple[str, str], Pair]
    """By (first, second), methods in their order."""
    equalities: Mapping[tuple[str, str], Equality]
    tests: int
    level: float
    """Of each interval by itself; of all at once it is 95 %."""
    methods: tuple[str, ...]
    units: Floats
    """Costs by unit and method, shape (units, methods); NaN where missing."""

    def by_unit(self, pair: Pair) -> Floats:
        """The pair's difference in each unit, NaN where the unit lacks a method, shape (units,)."""
        first, second = self.methods.index(pair.first), self.methods.index(pair.second)
        differences: Floats = self.units[:, second] - self.units[:, first]
        return differences

    def differences(self, pair: Pair) -> Floats:
        """The same in the units that have both, shape (pairs,)."""
        found = self.by_unit(pair)
        known: Floats = found[~np.isnan(found)]
        return known

    def where(self, claim: Claim) -> str:
        """``inside``, ``outside`` or ``across`` the claim's region; ``missing`` without such a pair."""
        key = (claim.first, claim.second)
        pair = self.pairs.get(key)
        if pair is None:
            return "missing"
        if claim.test == "equal":
            equality = self.equalities[key]
            return "inside" if equality.within <= ALPHA else "outside" if equality.beyond <= ALPHA else "across"
        if not pair.decided:
            return "across"
        return "inside" if pair.estimate < 0 else "outside"


@dataclass(frozen=True, slots=True)
class _Raw:
    """A pair before correction."""

    first: str
    second: str
    differences: Floats
    reference: float
    """Mean cost of the first method."""

    @property
    def freedom(self) -> int:
        return len(self.differences) - 1

    @property
    def estimate(self) -> float:
        return float(self.differences.mean())

    @property
    def error(self) -> float:
        own = float(self.differences.std(ddof=1)) / np.sqrt(len(self.differences))
        return float(max(own, SMALLEST_ERROR * abs(self.reference), 1e-300))

    def above(self, value: float) -> float:
        """One-sided p of the difference being above ``value``."""
        return float(student.sf((self.estimate - value) / self.error, self.freedom))

    def below(self, value: float) -> float:
        """One-sided p of the difference being below ``value``."""
        return float(student.cdf((self.estimate - value) / self.error, self.freedom))


def compare(blocks: Blocks, comparison: Comparison) -> Family:
    """Test all pairs of methods, and the claims of equality."""
    units = _units(blocks)
    raws = {(raw.first, raw.second): raw for raw in _raw_pairs(blocks.methods, units)}
    equal = {(claim.first, claim.second) for claim in comparison.claims if claim.test == "equal"}
    margins = {key: MARGIN_SHARE * abs(raw.reference) for key, raw in raws.items() if key in equal}
    signs = [min(2 * min(raw.above(0.0), raw.below(0.0)), 1.0) for raw in raws.values()]
    within = [max(raws[key].above(-margin), raws[key].below(margin)) for key, margin in margins.items()]
    beyond = [min(2 * min(raws[key].above(margin), raws[key].below(-margin)), 1.0) for key, margin in margins.items()]
    adjusted = holm([*signs, *within, *beyond])
    level = 1 - ALPHA / max(len(adjusted), 1)
    pairs = {
        key: _pair(raw, level, sign, at_last)
        for (key, raw), sign, at_last in zip(raws.items(), signs, adjusted, strict=False)
    }
    first, second = len(signs), len(signs) + len(within)
    equalities = {
        key: Equality(margin, adjusted[first + place], adjusted[second + place])
        for place, (key, margin) in enumerate(margins.items())
    }
    return Family(pairs, equalities, len(adjusted), level, blocks.methods, units)


def _units(blocks: Blocks) -> Floats:
    """Blocks, or the means of each configuration's complete blocks where there are enough configurations.

    A block is complete that has all methods which its configuration has somewhere.
    """
    if not blocks.by_configuration:
        return blocks.costs
    numbers = np.unique(blocks.configurations)
    means = np.full((len(numbers), len(blocks.methods)), np.nan)
    for place, number in enumerate(numbers):
        own = blocks.costs[blocks.configurations == number]
        tried = ~np.isnan(own).all(axis=0)
        complete = ~np.isnan(own[:, tried]).any(axis=1)
        if complete.any():
            means[place, tried] = own[complete][:, tried].mean(axis=0)
    return means


def _raw_pairs(methods: Sequence[str], units: Floats) -> list[_Raw]:
    found: list[_Raw] = []
    for first, second in combinations(range(len(methods)), 2):
        both = ~np.isnan(units[:, [first, second]]).any(axis=1)
        if both.sum() >= MIN_PAIRS:
            costs = units[both]
            differences = costs[:, second] - costs[:, first]
            found.append(_Raw(methods[first], methods[second], differences, float(costs[:, first].mean())))
    return found


def _pair(raw: _Raw, level: float, p: float, adjusted: float) -> Pair:
    half = float(student.ppf((1 + level) / 2, raw.freedom)) * raw.error
    interval = Interval(raw.estimate, raw.estimate - half, raw.estimate + half)
    return Pair(raw.first, raw.second, len(raw.differences), raw.estimate, raw.error, interval, p, adjusted)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order of ``values``."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min((len(values) - rank) * values[place], 1.0))
        adjusted[place] = largest
    return adjusted

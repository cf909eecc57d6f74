"""What a validation concludes: numbers with their bounds, a verdict and its reasons."""

from collections.abc import Mapping
from typing import Literal

from model.config import FrozenConfig

CandidateName = Literal["recipe", "default", "step_law", "half_rate", "double_rate"]
"""What is trained at each size: the recipe and its rivals."""
RECIPE: CandidateName = "recipe"
TITLES: Mapping[CandidateName, str] = {
    "recipe": "recipe",
    "default": "default config",
    "step_law": "Step Law",
    "half_rate": "lr / 2",
    "double_rate": "lr × 2",
}
"""What candidates are called in sentences and tables."""
GateVerdict = Literal["passed", "failed", "undecided"]
Sign = Literal["better", "worse", "noise"]
"""The recipe against a rival: where the 95 % interval of their difference lies below 0, above it, or around it."""


class Bounds(FrozenConfig):
    """An estimate in bits per byte, with its interval."""

    estimate: float
    low: float
    high: float


class CandidateResult(FrozenConfig):
    """What a candidate came to at one size."""

    name: CandidateName
    mean: float | None
    """Bits per byte over the seeds that reached their end; null where none has."""
    runs: int
    """Seeds that reached their end."""
    diverged: int
    """Seeds whose loss diverged."""
    missing: int
    """Seeds without a value for another reason: not yet trained, failed otherwise, or stopped."""


class Difference(FrozenConfig):
    """The recipe less a rival at one size, on the seeds that both have: negative where the recipe is better."""

    rival: CandidateName
    pairs: int
    difference: Bounds
    """Two-sided interval of level 0.95."""
    sign: Sign


class RungJudgement(FrozenConfig):
    """One size."""

    total_parameters: int
    candidates: tuple[CandidateResult, ...]
    differences: tuple[Difference, ...]
    best_rival: CandidateName | None
    """The rival to which the recipe loses most, or over which it leads least."""
    regret: Bounds | None
    """The recipe less its best rival: ``high`` is the one-sided upper bound of level 0.95 and ``low`` the lower one."""


class RivalTrend(FrozenConfig):
    """The recipe against one rival over the sizes: a line through the differences along log size."""

    rival: CandidateName
    stable: bool
    """Whether it is not better at one size and worse at another, each beyond noise."""
    per_doubling: Bounds | None
    """Change of the difference for each doubling of the size; null with fewer than three sizes."""
    at_target: Bounds | None
    """The line carried on to the target, with the interval of a straight line; null where there is no target."""
    growing: bool
    """Whether the difference grows beyond noise while the recipe is not clearly better at the largest size."""


class Judgement(FrozenConfig):
    """What the sizes say together."""

    verdict: GateVerdict | None
    """Null while runs are still to come: the numbers are then those of the runs that have ended."""
    reasons: tuple[str, ...]
    """Why, a sentence each; of an undecided one, what would decide."""
    margin: float
    """The largest regret that passes, in bits per byte; declared before anything was trained."""
    rungs: tuple[RungJudgement, ...]
    """Ascending in size."""
    trends: tuple[RivalTrend, ...]
    regret: Bounds | None
    """That of the largest size, which the verdict is about."""
    regret_at_target: Bounds | None
    """The largest of the trends at the target: an extrapolation along straight lines."""
    noise: float | None
    """Standard deviation of a run between seeds, pooled over all sizes and rivals: that of paired differences / √2."""
    seeds_needed: int | None
    """Seeds at the largest size with which it would be decided with 80 % probability, were the differences those that
    were seen; null where it is decided, or no number below 1000 would do."""

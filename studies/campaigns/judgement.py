"""What a ladder says: each rung's bits per byte, and its difference to the rung before and to the baseline."""

from collections.abc import Mapping
from typing import Literal

from model.config import FrozenConfig
from studies.validation.judgement import Bounds

RungVerdict = Literal["improved", "worse", "undetermined", "same"]
"""``same``: nothing was adopted, so that the rung is the one before."""
OrderVerdict = Literal["as_in_the_paper", "the_other_way", "undetermined"]
PaperSign = Literal["same", "opposite", "undetermined"]

PAPER_SCORES: Mapping[str, float] = {
    "baseline": 42.41,
    "tokenizer": 44.11,
    "architecture": 46.53,
    "inheritance": 49.79,
    "rounds": 51.28,
}
"""Average score over ten benchmarks after each step, higher is better, by the rung's label (arXiv 2402.02791, figure 1,
as in the code repository's README). Not bits per byte: only signs and orders can be compared."""


def paper_name(label: str) -> str:
    """The paper's name for a rung, e.g. ``tokenizer`` for ``+ Tokenizer``."""
    return label.strip("+ ").lower()


def paper_score(label: str) -> float | None:
    """The paper's average score after the step of this label; None of a step that the paper has not."""
    return PAPER_SCORES.get(paper_name(label))


class RungDifference(FrozenConfig):
    """A rung less another one, in bits per byte on the seeds that both have: negative where the rung is better."""

    pairs: int
    difference: Bounds | None
    """Simultaneous with all others of the ladder; null with fewer than three pairs."""
    p: float | None
    """Holm's, that the difference is not zero."""
    verdict: RungVerdict | None
    """Null while runs are still to come."""
    reasons: tuple[str, ...] = ()
    """What the verdict does not say by itself."""
    seeds_needed: int | None = None
    """Seeds with which it would be decided with 80 % probability, were the difference the one that was seen; null
    where it is decided, or no number below 1000 would do."""


class RungResult(FrozenConfig):
    """One rung."""

    label: str
    mean: Bounds | None
    """Bits per byte over its seeds, with the 95 % interval of this mean by itself; null with fewer than two runs."""
    runs: int
    """Seeds that reached their end."""
    diverged: int
    missing: int
    """Seeds without a value for another reason: not yet trained, failed otherwise, or stopped."""
    step: RungDifference | None
    """To the rung before; null of the first one."""
    from_baseline: RungDifference | None
    """To the first rung; null of itself."""
    paper_score: float | None
    """The paper's average score after this step: another quantity, in another unit."""
    paper_sign: PaperSign | None
    """Whether the step went the way it did in the paper, where every step improved; null where the paper has no such
    step, nothing was adopted, or runs are to come."""


class StepOrder(FrozenConfig):
    """Two steps of which the first brought more in the paper."""

    larger: str
    smaller: str
    gain: Bounds | None
    """How much more the first one brought here, in bits per byte; simultaneous with the other orders."""
    verdict: OrderVerdict | None


class LadderJudgement(FrozenConfig):
    """A whole ladder."""

    finished: bool
    """Whether every run has ended; there is no verdict before."""
    rungs: tuple[RungResult, ...]
    orders: tuple[StepOrder, ...]
    """The paper's order of what its steps brought, neighbour by neighbour, over the steps that both have."""
    tests: int
    """Differences that were tested; the 5 % are held over all of them."""
    level: float
    """Of each interval of a difference by itself; of all at once it is 95 %."""
    remarks: tuple[str, ...]

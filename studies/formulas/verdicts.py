"""What may be said about the paper's claims, given an interval and where the data lie."""

from collections.abc import Mapping
from dataclasses import dataclass

from studies.formulas.fitting.fit import Interval
from studies.formulas.formula import Coefficient, PaperClaim, Verdict
from studies.formulas.observations import FitContext

LEVEL = 0.95
"""Level of every interval (assumed, the usual choice)."""

Domain = Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True)
class Ground:
    """What decides how strong a verdict may be."""

    context: FitContext
    in_paper_domain: bool

    def verdict(self, position: str) -> Verdict:
        """Turn ``inside``, ``outside`` or ``across`` the paper's region, or ``unclaimed``, into a verdict."""
        if self.context.purpose == "optimise":
            return "exploratory"
        if not self.context.finished:
            return "interim"
        return _VERDICTS[position, self.in_paper_domain]


_VERDICTS: Mapping[tuple[str, bool], Verdict] = {
    ("inside", True): "recovered",
    ("inside", False): "agrees_at_this_scale",
    ("outside", True): "refuted",
    ("outside", False): "differs_at_this_scale",
    ("unclaimed", True): "determined",
    ("unclaimed", False): "determined",
    ("across", True): "undetermined",
    ("across", False): "undetermined",
}


def overlaps(data: Mapping[str, tuple[float, float]], paper: Domain) -> bool:
    """Whether data and paper share a range of every variable that both declare."""
    for name, (low, high) in paper.items():
        if name not in data:
            continue
        smallest, largest = data[name]
        if (low is not None and largest < low) or (high is not None and smallest > high):
            return False
    return True


def position(interval: Interval, region: tuple[float | None, float | None]) -> str:
    """``inside``, ``outside`` or ``across`` the region; its ends belong to it."""
    low = -float("inf") if region[0] is None else region[0]
    high = float("inf") if region[1] is None else region[1]
    if low <= interval.low and interval.high <= high:
        return "inside"
    return "outside" if interval.high < low or interval.low > high else "across"


def coefficient(
    interval: Interval, unit: str = "1", claim: PaperClaim | None = None, verdict: Verdict | None = None
) -> Coefficient:
    """An interval as it is stored."""
    return Coefficient(
        estimate=interval.estimate,
        low=interval.low,
        high=interval.high,
        level=LEVEL,
        unit=unit,
        paper=claim,
        verdict=verdict,
    )


def constant(value: float, unit: str = "1") -> Coefficient:
    """A number that is part of the form and carries no uncertainty, e.g. a reference batch."""
    return Coefficient(estimate=value, low=None, high=None, level=LEVEL, unit=unit)


def missing_trials(interval: Interval, region: tuple[float | None, float | None], trials: int) -> int | None:
    """How many trials like those made would decide, if the estimate stayed where it is; None: over a hundred times.

    An interval shrinks with the square root of the number of trials; it must reach the nearest end of the region.
    """
    ends = [end for end in region if end is not None]
    distance = min(abs(interval.estimate - end) for end in ends)
    half_width = (interval.high - interval.low) / 2
    if distance < half_width / 10:
        return None
    return max(int(trials * ((half_width / distance) ** 2 - 1)) + 1, 1)


def further_trials(interval: Interval, region: tuple[float | None, float | None], trials: int) -> str:
    """In words, how many trials like those made would decide, if the estimate stayed where it is."""
    more = missing_trials(interval, region, trials)
    if more is None:
        return (
            "the estimate lies at the edge of the paper's region, so that more than a hundred times the present "
            f"{trials} trials would be needed there"
        )
    return (
        f"about {more} further trials of the same design would decide, if the estimate stays at {interval.estimate:.3g}"
    )

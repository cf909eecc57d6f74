"""Which share of a space's points satisfies the constraints that only a point can tell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.space.errors import InfeasibleSpace
from search.space.frame import Frame
from search.space.legal import Exclusion
from search.space.rules import Columns, Rule

SAMPLE = 2**14
"""Points that are drawn (assumed: an acceptance of a thousandth is known within a quarter of itself)."""
SEED = 0


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An estimate from independent draws; 1 without draws where nothing is left to be checked."""

    accepted: int = 0
    drawn: int = 0

    @property
    def rate(self) -> float:
        """Share of the points that are accepted."""
        return self.accepted / self.drawn if self.drawn else 1.0


def measure(
    frame: Frame, checks: Sequence[Rule], columns_at: Callable[[np.ndarray[Any, Any]], Columns]
) -> tuple[Acceptance, tuple[Exclusion, ...]]:
    """Draw points, the same each time, and count which satisfy the checks, one after the other.

    Raises:
        InfeasibleSpace: none does.
    """
    if not checks:
        return Acceptance(), ()
    columns = columns_at(np.random.default_rng(SEED).random((SAMPLE, len(frame.parameters))))
    legal = {id(rule): frame.allows(rule, columns, SAMPLE) for rule in checks}
    left = np.ones(SAMPLE, dtype=bool)
    exclusions = []
    for rule in checks:
        before, left = left, left & legal[id(rule)]
        if not left.any():
            raise _contradiction(frame, checks, rule, columns, legal)
        exclusions.append(Exclusion(rule.field, rule.text, float(1 - left.sum() / before.sum()), {}))
    return Acceptance(int(left.sum()), SAMPLE), tuple(exclusions)


def _contradiction(
    frame: Frame, checks: Sequence[Rule], last: Rule, columns: Columns, legal: dict[int, Any]
) -> InfeasibleSpace:
    if not legal[id(last)].any():
        return frame.refusal(last, columns, SAMPLE)
    earlier = [rule for rule in checks[: list(checks).index(last)] if not legal[id(rule)].all()]
    those = " and ".join(f"{rule.field} ({rule.text})" for rule in earlier)
    reason = f"none of {SAMPLE} points drawn from the space satisfies {last.text} together with {those}"
    return InfeasibleSpace(last.field, reason, "relax one of them")

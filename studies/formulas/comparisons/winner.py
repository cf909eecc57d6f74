"""Which method a comparison recommends, where it decides that."""

from collections.abc import Sequence
from typing import Any

from studies.formulas.comparisons.kinds import Comparison
from studies.formulas.comparisons.pairs import ALPHA, Family
from studies.formulas.observations import Observation


def winner(family: Family) -> str | None:
    """The method to which no other one is to be preferred; None where the pairs do not decide that.

    It is better than each other method by Holm's test, or about equal to it, within the claim's margin, and before it
    in the paper's order, as one round is before two: the simpler one. A pair that was not compared decides nothing.
    """
    return next((method for method in family.methods if _wins(method, family)), None)


def _wins(method: str, family: Family) -> bool:
    return all(_preferred(method, other, family) for other in family.methods if other != method)


def _preferred(method: str, other: str, family: Family) -> bool:
    earlier = family.methods.index(method) < family.methods.index(other)
    key = (method, other) if earlier else (other, method)
    pair, equality = family.pairs.get(key), family.equalities.get(key)
    if pair is None:
        return False
    if equality is not None and equality.within <= ALPHA:
        return earlier
    return pair.decided and (pair.estimate > 0) == earlier


def recommended(comparison: Comparison, rows: Sequence[Observation], family: Family) -> dict[str, Any] | None:
    """The winner with the values of the compared parameters that its runs share, for a recipe to take over."""
    method = winner(family)
    if method is None:
        return None
    runs = [row for row in rows if comparison.label(row) == method]
    found = {name: {row.parameters.get(name) for row in runs} for name in sorted(comparison.parameters)}
    shared = {name: next(iter(values)) for name, values in found.items() if len(values) == 1}
    return {"method": method, "parameters": {name: value for name, value in shared.items() if value is not None}}

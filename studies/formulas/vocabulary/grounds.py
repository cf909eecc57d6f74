"""Whether trials compare vocabularies, and not sizes, lengths or losses of other tokens."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from studies.formulas.fitting.budget import CONVENTIONS, EQUAL_BUDGET, split_budgets
from studies.formulas.observations import FitContext, Observation

BITS = "bits_per_byte"
PER_TOKEN = frozenset({"validation_loss", "train_loss", "perplexity"})
"""Metrics whose unit, the token, changes with the vocabulary."""
EQUAL_LENGTH = 1.05
"""Largest over smallest amount of text or compute that is still one (assumed: whole steps round it by 1 to 2 %)."""
LENGTHS = ("train_bytes", "train_flops", "train_tokens")
TOLERANCE = 0.03
"""Of the budget that is proposed (as in docs/spec.md)."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What was held equal, or why vocabularies cannot be compared."""

    context: FitContext
    """With bits per byte as its metric wherever trials report them."""
    convention: str
    """The parameter count that is equal."""
    length: str
    """``train_bytes`` or ``train_flops``."""
    problem: str | None = None
    supply: Mapping[str, Any] | None = None


def find_grounds(observations: Sequence[Observation], context: FitContext) -> Grounds:
    """Look for one metric, one size and one length that all trials share."""
    if any(row.number_of(BITS) is not None for row in observations):
        context = replace(context, metric=BITS, direction="minimize")
    found = Grounds(context, CONVENTIONS[0], LENGTHS[0])
    if context.metric in PER_TOKEN:
        reason = (
            f"{context.metric} is counted by token, and tokens differ between vocabularies: report {BITS} for "
            f"{_trials(observations)}"
        )
        return replace(found, problem=reason, supply={"objectives": [{"metric": BITS, "direction": "minimize"}]})
    return _equal_length(observations, _equal_size(observations, found))


def _equal_size(observations: Sequence[Observation], found: Grounds) -> Grounds:
    spreads = {name: spread(observations, name) for name in CONVENTIONS}
    equal = next((name for name, value in spreads.items() if value is not None and value <= EQUAL_BUDGET), None)
    if equal is not None:
        return replace(found, convention=equal)
    reason = (
        f"the size is not equal ({_said(observations, CONVENTIONS)}), so that the vocabulary is mixed up with it: "
        f"repeat {_trials(observations)} with constraints.total_parameters"
    )
    target = round(mean_size(observations)) or 1_000_000
    budget = {"target": target, "tolerance": TOLERANCE, "solve_for": "width"}
    return replace(found, problem=reason, supply={"constraints": {"total_parameters": budget}})


def _equal_length(observations: Sequence[Observation], found: Grounds) -> Grounds:
    """What was held equal is what differs least; tokens alone are no ground, since they hold unequal text."""
    if found.problem is not None:
        return found
    spreads = {name: value for name in LENGTHS if (value := spread(observations, name)) is not None}
    least = min(spreads, key=lambda name: spreads[name], default=None)
    if least is not None and least != "train_tokens" and spreads[least] <= EQUAL_LENGTH:
        return replace(found, length=least)
    reason = (
        f"neither bytes nor FLOPs of training are equal ({_said(observations, LENGTHS)}): a token of a larger "
        f"vocabulary holds more text; repeat {_trials(observations)} with proxy.train_bytes"
    )
    amounts = _numbers(observations, "train_bytes")
    train_bytes = round(sum(amounts) / len(amounts)) if amounts else 1_000_000
    proxy = {"train_tokens": None, "train_flops": None, "train_bytes": train_bytes}
    return replace(found, problem=reason, supply={"proxy": proxy})


def split_sizes(observations: Sequence[Observation]) -> list[list[Observation]]:
    """The trials of each total of parameters, ascending; all together where one count is equal, or sizes do not part.

    They part where each size has several vocabularies; where they do not, vocabulary and size are mixed up.
    """
    whole = [list(observations)]
    if any((found := spread(observations, name)) is not None and found <= EQUAL_BUDGET for name in CONVENTIONS):
        return whole
    sized = [(row, size) for row in observations if (size := row.number_of(CONVENTIONS[0])) is not None and size > 0]
    parts = [[sized[place][0] for place in part] for part in split_budgets([size for _, size in sized])]
    several = all(len({row.number_of("vocabulary_size") for row in part}) > 1 for part in parts)
    return parts if len(parts) > 1 and several else whole


def mean_size(observations: Sequence[Observation]) -> float:
    """Geometric mean of the totals of parameters, 0 where none is reported."""
    sizes = _numbers(observations, CONVENTIONS[0])
    return math.exp(sum(map(math.log, sizes)) / len(sizes)) if sizes else 0.0


def spread(observations: Sequence[Observation], name: str) -> float | None:
    """Largest over smallest of what trials report; None where none does."""
    values = _numbers(observations, name)
    return max(values) / min(values) if values else None


def _numbers(observations: Sequence[Observation], name: str) -> list[float]:
    return [value for row in observations if (value := row.number_of(name)) is not None and value > 0]


def _said(observations: Sequence[Observation], names: Sequence[str]) -> str:
    values = {name: _numbers(observations, name) for name in names}
    parts = [
        f"{name} {min(found):.4g} to {max(found):.4g}" if found else f"{name} is not reported"
        for name, found in values.items()
    ]
    return "; ".join(parts)


def _trials(observations: Sequence[Observation]) -> str:
    return f"the {len(observations)} trials"

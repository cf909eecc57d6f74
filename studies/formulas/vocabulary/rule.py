"""The paper's rule for the vocabulary (F1): the smallest that covers most of the text and is cheap enough.

Coverage above 90 %: the share of a large tokenizer's tokens in the corpus that a vocabulary keeps. PEHL below 20 %: the
share of the parameters in embedding and head, 2·V·d/N, or V·d/N where they are one table. Trials with a compressed
tokenizer report ``tokenizer_coverage``; trials with a trained one report ``covering_vocabulary``, of which that of the
largest vocabulary tried is read. All trials report ``embedding_share``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from model.tokenizer.coverage import MAX_SHARE, MIN_COVERAGE
from studies.formulas.observations import Observation


@dataclass(frozen=True, slots=True)
class Rule:
    """What the rule says of the vocabularies between the smallest and the largest tried."""

    covering: float | None
    """Smallest vocabulary above ``MIN_COVERAGE``; None where none is, or trials do not tell."""
    affordable: float | None
    """Largest vocabulary below ``MAX_SHARE``; None where none is, or trials do not tell."""
    problem: str | None
    """Why no vocabulary follows; None where one does."""
    share_needed: float | None = None
    """Embedding share at ``covering``."""

    @property
    def vocabulary(self) -> float | None:
        """The rule's answer."""
        return self.covering if self.problem is None else None


def find_rule(observations: Sequence[Observation], smallest: float, largest: float) -> Rule:
    """Apply the rule; shares and coverage between two vocabularies tried are interpolated in their logarithms."""
    shares = _by_size(observations, "embedding_share")
    affordable = _affordable(shares)
    covering = _covering(observations, largest)
    if covering is None:
        told = _by_size(observations, "tokenizer_coverage")
        reason = (
            f"no vocabulary tried covers more than {MIN_COVERAGE:.0%} of the text: the largest covers "
            f"{max(told.values()):.1%}"
            if told
            else "trials do not tell coverage (tokenizer_coverage or covering_vocabulary): run them with this version"
        )
        return Rule(None, affordable, reason)
    covering = max(covering, smallest)
    if not shares:
        return Rule(covering, None, "trials do not report embedding_share")
    share = _interpolated(shares, covering)
    if share >= MAX_SHARE:
        reason = (
            f"no vocabulary satisfies the paper's rule at this size: to cover more than {MIN_COVERAGE:.0%} takes "
            f"{covering:.0f} tokens, which hold {share:.1%} of the parameters"
        )
        return Rule(covering, affordable, reason, share)
    return Rule(covering, affordable, None, share)


def _by_size(observations: Sequence[Observation], name: str) -> dict[float, float]:
    """Geometric mean over the trials of each vocabulary, ascending."""
    found: dict[float, list[float]] = {}
    for row in observations:
        size, value = row.number_of("vocabulary_size"), row.number_of(name)
        if size is not None and size > 0 and value is not None and value > 0:
            found.setdefault(size, []).append(math.log(value))
    return {size: math.exp(float(np.mean(found[size]))) for size in sorted(found)}


def _interpolated(known: dict[float, float], size: float) -> float:
    return math.exp(float(np.interp(math.log(size), np.log(list(known)), np.log(list(known.values())))))


def _affordable(shares: dict[float, float]) -> float | None:
    """Largest vocabulary whose share is below the limit."""
    sizes = list(shares)
    if not sizes or shares[sizes[0]] >= MAX_SHARE:
        return None
    return _crossing(shares, MAX_SHARE) or sizes[-1]


def _covering(observations: Sequence[Observation], largest: float) -> float | None:
    told = _by_size(observations, "tokenizer_coverage")
    if told:
        return next(iter(told)) if next(iter(told.values())) > MIN_COVERAGE else _crossing(told, MIN_COVERAGE)
    rows = [row for row in observations if row.number_of("vocabulary_size") == largest]
    counted = [value for row in rows if (value := row.number_of("covering_vocabulary")) is not None and value > 0]
    return float(np.median(counted)) if counted else None


def _crossing(known: dict[float, float], level: float) -> float | None:
    """Where values that begin below ``level`` first reach it, by a line in logarithms; None where they never do."""
    pairs = list(known.items())
    for (size, value), (next_size, next_value) in pairwise(pairs):
        if value < level <= next_value:
            part = math.log(level / value) / math.log(next_value / value)
            return size * math.pow(next_size / size, part)
    return None

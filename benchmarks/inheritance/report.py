"""Of each method: the loss at equal tokens, and the tokens that reach the random start's final loss."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Curve = Sequence[tuple[float, float]]
"""(training tokens, bits per byte), ascending in tokens."""


@dataclass(frozen=True, slots=True)
class Student:
    """One run."""

    method: str
    seed: int
    learning_rate: float
    final: float
    """Bits per byte at the end; infinite where it diverged."""
    curve: Curve


def tokens_to_reach(curve: Curve, value: float) -> float:
    """Training tokens after which a loss has fallen to ``value``, in a straight line between evaluations.

    Infinite where it never does; of a curve that is below it from the start, the first evaluation's.
    """
    if not curve:
        return math.inf
    if curve[0][1] <= value:
        return curve[0][0]
    for (start, above), (end, below) in pairwise(curve):
        if below <= value:
            return start + (end - start) * (above - value) / (above - below)
    return math.inf


def at_best_rate(students: Sequence[Student]) -> dict[str, dict[int, Student]]:
    """Each method's students by seed, at the rate that is best for it on the mean over seeds."""
    found = {}
    for method in dict.fromkeys(student.method for student in students):
        own = [student for student in students if student.method == method]
        rates = sorted({student.learning_rate for student in own})
        means = [np.mean([student.final for student in own if student.learning_rate == rate]) for rate in rates]
        best = rates[int(np.argmin(means))]
        found[method] = {student.seed: student for student in own if student.learning_rate == best}
    return found


def token_ratios(students: Mapping[int, Student], random_starts: Mapping[int, Student]) -> list[float]:
    """Of each seed, the tokens that reach the random start's final loss over those of the whole run; sorted.

    Infinite where the run ends above it.
    """
    shared = sorted(students.keys() & random_starts.keys())
    whole = {seed: random_starts[seed].curve[-1][0] for seed in shared}
    return sorted(tokens_to_reach(students[seed].curve, random_starts[seed].final) / whole[seed] for seed in shared)

"""What would decide a vocabulary law, as changes to the study's spec."""

import math
from collections.abc import Sequence

import numpy as np

from model.tokenizer import MIN_VOCABULARY_SIZE
from model.tokenizer.coverage import MAX_SHARE
from studies.formulas.observations import Observation
from studies.formulas.supply import Patch, trial_count, tried
from studies.formulas.vocabulary.grounds import TOLERANCE

WANTED_SIZES = 6
"""As many as the paper tried."""
LEAST_FACTOR = 8.0
"""Between the smallest and the largest vocabulary (assumed; 12.6 in the paper)."""
ROUNDED_TO = 64
"""Vocabularies that hardware likes (assumed)."""


def more_sizes(observations: Sequence[Observation], further: int) -> Patch:
    """Vocabularies evenly in logarithms over the tried range, widened where it is narrow."""
    sizes = tried(observations, "vocabulary_size")
    return _vocabularies(min(sizes[0], sizes[-1] / LEAST_FACTOR), sizes[-1], len(observations) + further)


def larger_sizes(observations: Sequence[Observation], further: int) -> Patch:
    """The same, up to twice the largest tried."""
    sizes = tried(observations, "vocabulary_size")
    return _vocabularies(sizes[0], 2 * sizes[-1], len(observations) + further)


def larger_networks(observations: Sequence[Observation], share: float | None) -> Patch:
    """An equal total of parameters; large enough for the rule where ``share`` is what its vocabulary would hold.

    The share falls with the root of the size, because the width grows with it (derived: V·d/N, d as √N).
    """
    sizes = tried(observations, "total_parameters") or [1e6]
    size = math.exp(float(np.mean(np.log(sizes))))
    if share is not None and share >= MAX_SHARE:
        size *= 1.2 * (share / MAX_SHARE) ** 2
    budget = {"target": int(float(f"{size:.2g}")), "tolerance": TOLERANCE, "solve_for": "width"}
    return {"constraints": {"total_parameters": budget}}


def _vocabularies(low: float, high: float, trials: int) -> Patch:
    steps = np.geomspace(max(low, MIN_VOCABULARY_SIZE), high, WANTED_SIZES)
    choices = sorted({max(round(step / ROUNDED_TO), 5) * ROUNDED_TO for step in steps})
    space = {"vocabulary_size": {"type": "categorical", "choices": choices}}
    return {"space": space, **trial_count(trials)}

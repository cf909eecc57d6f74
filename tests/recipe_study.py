"""A planted study for recipes: its bowls, its cost of depth and batch, its speeds and its diverged runs are known."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from search.space import Space
from studies.formulas.formula import Coefficient, Formula
from studies.recipe.recipe import Recipe, RecipeField
from studies.records import Trial, TrialState
from studies.spec import StudySpec

BUDGET = 1_000_000
RATES = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
NOISE = 0.002
DIVERGES_AT = 1.9
"""Log of a rate over the best one from which on a run fails."""


def spec_of(**proxy: Any) -> StudySpec:
    """Three depths × three batches × six rates, at 1M parameters."""
    return StudySpec.model_validate(
        {
            "name": "planted",
            "space": {
                "depth": {"type": "categorical", "choices": [2, 4, 8]},
                "batch_tokens": {"type": "categorical", "choices": [1024, 2048, 4096]},
            },
            "inner": {"learning_rate": list(RATES)},
            "constraints": {"total_parameters": {"target": BUDGET}},
            "proxy": {"train_tokens": 400_000, "sequence_length": 256, "vocabulary_size": 512, **proxy},
            "max_trial_count": 9 * len(RATES),
        }
    )


def bowl(distance: float) -> float:
    """Excess loss at a distance in log rate: steeper towards high rates."""
    return 0.24 * (math.exp(0.5 * distance) - 0.5 * distance - 1)


def best_rate(batch: float) -> float:
    """lr* = 0.004·(B/2048)^0.5"""
    return 0.004 * (batch / 2048) ** 0.5


def planted_trials(spec: StudySpec, device: str = "NVIDIA H100 80GB HBM3", noise: float = NOISE) -> list[Trial]:
    """Every point of the design; rates too high diverge, and one run fails for another reason."""
    space = Space.build(spec.space, spec.inner, spec.constraints, spec.proxy)
    generator = np.random.default_rng(0)
    made = []
    for number in range(9 * len(RATES)):
        point = space.trial(space.grid_point(number // len(RATES)).values, number % len(RATES))
        depth, batch, rate = (float(point.values[name]) for name in ("depth", "batch_tokens", "learning_rate"))
        distance = math.log(rate / best_rate(batch))
        loss = 2 + bowl(distance) + 0.02 * math.log2(depth / 4) ** 2 + 0.01 * math.log(batch / 1024) ** 2
        metrics = {
            "bits_per_byte": loss + noise * float(generator.standard_normal()),
            "total_parameters": float(point.attributes["total_parameters"]),
            "train_tokens": 400_000.0,
            "decode_tokens_per_second": 1 / (1e-3 + 2e-4 * depth),
            "train_tokens_per_second": 1e7,
        }
        attributes = {
            **point.attributes,
            "device": device,
            "epochs": 0.4,
            "corpus_fingerprint": "abc",
            "training_flops_per_token": 6_000_000,
        }
        diverged, lost = distance > DIVERGES_AT, number == 0
        reason = "training diverged: loss is nan" if diverged else "a machine was lost" if lost else None
        state = TrialState.FAIL if reason else TrialState.COMPLETE
        reported = {} if reason else metrics
        made.append(Trial(number, state, point.values, reported, attributes, reason, 1, None, None))
    return made


def law(kind: str, variant: str, expression: str, values: Mapping[str, float], **more: Any) -> Formula:
    """A law without uncertainty, measured about the study's own point."""
    return Formula.model_validate(
        {
            "id": f"{kind}-{variant}",
            "revision": 1,
            "kind": kind,
            "variant": variant,
            "form": "power",
            "expression": expression,
            "statement": "planted",
            "latex": "planted",
            "studies": ("1",),
            "size_convention": "total_parameters",
            "observations": 54,
            "domain": {
                "batch_tokens": (1024, 4096),
                "total_parameters": (BUDGET / 4, BUDGET),
                "train_tokens": (100_000, 400_000),
                "depth": (2, 8),
                "vocabulary_size": (256, 2048),
            },
            "held_out_error": 0.01,
            "coefficients": {
                name: Coefficient(estimate=value, low=value, high=value).model_dump() for name, value in values.items()
            },
            "verdict": "agrees_at_this_scale",
            "evidence": {
                "covariance": {
                    "names": list(values),
                    "matrix": [[1e-4 if row == column else 0.0 for column in values] for row in values],
                    "multiplier": 2.0,
                    "logs": list(values),
                    "logarithmic": True,
                }
            },
            **more,
        }
    )


def field_of(recipe: Recipe, name: str) -> RecipeField:
    """The field whose name ends so."""
    return next(field for field in recipe.fields if field.name.endswith(name))

"""A finished study whose recipe can be validated, planted without training."""

from typing import Any

from search.space import Space
from studies.records import Trial, TrialState
from studies.spec import StudySpec

TOKENS_PER_PARAMETER = 20
BUDGET = 1_000_000


def study_spec(**proxy: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "planted",
            "space": {"depth": {"type": "categorical", "choices": [2, 4, 8]}},
            "inner": {"learning_rate": [2e-3, 4e-3, 8e-3]},
            "constraints": {"total_parameters": {"target": BUDGET}},
            "proxy": {
                "train_tokens": BUDGET * TOKENS_PER_PARAMETER,
                "sequence_length": 128,
                "vocabulary_size": 512,
                "batch_tokens": 8192,
                **proxy,
            },
            "max_trial_count": 9,
        }
    )


def planted_trials(spec: StudySpec, best: int = 4) -> list[Trial]:
    """Nine trials; ``best`` has the fewest bits per byte, 2."""
    space = Space.build(spec.space, spec.inner, spec.constraints, spec.proxy)
    made = []
    for number in range(9):
        point = space.trial(space.grid_point(number // 3).values, number % 3)
        metrics = {
            "bits_per_byte": 2.0 + abs(number - best) / 100,
            "total_parameters": float(point.attributes["total_parameters"]),
            "train_tokens": float(BUDGET * TOKENS_PER_PARAMETER),
            "train_flops": 2e14,
        }
        made.append(Trial(number, TrialState.COMPLETE, point.values, metrics, point.attributes, None, 1, None, None))
    return made

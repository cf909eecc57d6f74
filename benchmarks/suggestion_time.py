"""Time of the default sampler for one suggestion when many trials have finished."""

import statistics
import time
from pathlib import Path

import numpy as np

from search.constraints import Constraints, TotalParameters
from search.parameters import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
)
from search.problem import SearchProblem
from search.samplers import build_sampler
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from trainer.config import ProxySettings

FINISHED = 2000
SUGGESTIONS = 50
LIMIT_SECONDS = 0.020
DEFAULT = "bowl"

SPACE: dict[str, Parameter] = {
    "depth": IntParameter(type="int", low=2, high=16),
    "vocabulary_size": CategoricalParameter(type="categorical", choices=(512, 1024, 2048, 4096)),
    "ffn_ratio": FloatParameter(type="float", low=1.0, high=4.0),
    "learning_rate": FloatParameter(type="float", low=1e-4, high=1e-1, log=True),
    "batch_tokens": CategoricalParameter(type="categorical", choices=(1024, 2048, 4096, 8192)),
    "weight_decay": FloatParameter(type="float", low=0.0, high=0.3),
    "init_scheme": CategoricalParameter(type="categorical", choices=("constant", "gpt2", "internlm")),
    "init_std": FloatParameter(type="float", low=0.01, high=0.3, log=True),
}
"""Eight parameters, numbers and words, at an equal budget."""


def measure() -> float:
    """20 ms ÷ the median processor time of a suggestion, points with a value told in between."""
    space = Space.build(
        SPACE,
        {},
        Constraints(total_parameters=TotalParameters(target=1_000_000, tolerance=0.03)),
        ProxySettings(train_tokens=1_000_000),
    )
    problem = SearchProblem(
        study="suggestions",
        space=space,
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(kind=DEFAULT),
        scheduler=SchedulerSpec(),
        max_trial_count=FINISHED + SUGGESTIONS,
        parallel_trial_count=1,
        resources=Resources(),
        storage=Path(),
    )
    sampler, generator = build_sampler(problem), np.random.default_rng(0)
    for outer in range(FINISHED):
        unit = dict(zip(space.names, generator.random(len(space.names)).tolist(), strict=True))
        sampler.restore(outer, space.point(unit).values)
        sampler.tell(outer, (_loss(unit, generator),))
    seconds = []
    for outer in range(FINISHED, FINISHED + SUGGESTIONS):
        start = time.process_time()
        point = sampler.point(outer)
        seconds.append(time.process_time() - start)
        assert point is not None
        sampler.tell(outer, (_loss(space.unit(point.values), generator),))
    median = statistics.median(seconds)
    print(f"{median * 1e3:.1f} ms at {FINISHED} finished trials; the first one {seconds[0] * 1e3:.0f}")
    return LIMIT_SECONDS / median


def _loss(unit: dict[str, float], generator: np.random.Generator) -> float:
    """A noisy bowl."""
    return float(sum((place - 0.4) ** 2 for place in unit.values()) + generator.normal(0, 0.01))

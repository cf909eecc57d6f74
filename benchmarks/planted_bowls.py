"""Planted problems of six parameters: bowls whose optimum may lie anywhere, with noise and with rates that diverge."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.constraints import Constraints
from search.events import Value
from search.parameters import CategoricalParameter, FloatParameter, IntParameter, Parameter
from search.problem import SearchProblem
from search.samplers import build_sampler
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.space import Space
from trainer.config import ProxySettings

PARAMETERS: Mapping[str, Parameter] = {
    "depth": IntParameter(type="int", low=2, high=16),
    "ffn_ratio": FloatParameter(type="float", low=1.0, high=4.0),
    "learning_rate": FloatParameter(type="float", low=1e-4, high=1e-1, log=True),
    "batch_tokens": CategoricalParameter(type="categorical", choices=(512, 1024, 2048, 4096, 8192)),
    "weight_decay": FloatParameter(type="float", low=0.0, high=0.3),
    "init_scheme": CategoricalParameter(type="categorical", choices=("constant", "gpt2", "internlm")),
}
TRIALS = 40
PLANTED = 10**6
"""Keeps the draws of a problem apart from those of a sampler with the same seed, whose second part is an index."""
NOISE = 0.01
"""Standard deviation of a value from seed to seed."""


class Bowl:
    """A quadratic of log-normal steepness along random directions, and one choice of words that is best."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng([seed, PLANTED])
        self._space = Space.build(
            PARAMETERS, {}, Constraints(), ProxySettings(train_tokens=1_000_000, sequence_length=256)
        )
        self._names = [name for name in PARAMETERS if name != "init_scheme"]
        size = len(self._names)
        self._optimum = self._generator.random(size)
        turned, _ = np.linalg.qr(np.eye(size) + 0.5 * self._generator.normal(size=(size, size)))
        self._steepness = turned * self._generator.lognormal(0.0, 1.0, size) @ turned.T
        self._shift = dict(
            zip(("constant", "gpt2", "internlm"), self._generator.permutation([0.0, 0.05, 0.1]), strict=True)
        )
        self._diverging = max(self._optimum[self._names.index("learning_rate")] + 0.2, 0.7)

    def excess(self, values: Mapping[str, Value]) -> float | None:
        """How much the point is above the best one; None where its rate diverges."""
        places = np.array([PARAMETERS[name].position(values[name]) for name in self._names])  # type: ignore[arg-type]
        if places[self._names.index("learning_rate")] > self._diverging:
            return None
        away = places - self._optimum
        return float(away @ self._steepness @ away) + float(self._shift[str(values["init_scheme"])])

    def best_excess(self, kind: str, seed: int) -> float:
        """The excess of the point that seems best after all trials."""
        problem = SearchProblem(
            study="planted",
            space=self._space,
            objectives=(Objective(metric="bits_per_byte"),),
            sampler=SamplerSpec(kind=kind, seed=seed),
            scheduler=SchedulerSpec(),
            max_trial_count=TRIALS,
            parallel_trial_count=1,
            resources=Resources(),
            storage=Path(),
        )
        sampler, seen, found = build_sampler(problem), math.inf, math.inf
        for outer in range(TRIALS):
            point = sampler.point(outer)
            assert point is not None
            excess = self.excess(point.values)
            told = None if excess is None else excess + self._generator.normal(0.0, NOISE)
            sampler.tell(outer, None if told is None else (told,))
            if told is not None and excess is not None and told < seen:
                seen, found = told, excess
        return found


def excesses(kind: str, problems: int) -> NDArray[np.float64]:
    """Of one search of each problem, shape (1, problems)."""
    return np.array([[Bowl(seed).best_excess(kind, seed) for seed in range(problems)]])

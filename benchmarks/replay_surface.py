"""Replayed searches of a real loss surface: training tokens until within two seed standard deviations of its best.

The surface is ``benchmarks.surface``'s. Tokens are all that were trained on by all trials until then, those of the
cooldowns included that annealed evaluations took; without a scheduler there are none.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.record_surface import tokens_spent
from benchmarks.replay_grids import DEFAULT, SEEDS, compare
from benchmarks.surface import SETTINGS, Record, records, surface_space
from search.problem import SearchProblem
from search.proxy import proxy_config
from search.recorded import RecordedEvaluation, RecordedRun, Recording
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.simulate import simulate_until
from search.stopping import stopping_rule
from trainer.config import ProxySettings
from trainer.plan import plan_run

SEED_DEVIATIONS = 2.0
BYTES_PER_TOKEN = 1.0
"""Of a length in tokens it is not read."""


def seed_deviation(runs: Sequence[Record]) -> float:
    """Standard deviation of the final bits per byte between seeds, pooled over the points that have several."""
    finals = defaultdict(list)
    for run in runs:
        if not run["diverged"]:
            finals[tuple(sorted(run["parameters"].items()))].append(run["bits_per_byte"][-1])
    variances = [np.var(values, ddof=1) for values in finals.values() if len(values) > 1]
    return float(np.sqrt(np.mean(variances)))


def recording(runs: Sequence[Record], scheduler: SchedulerSpec) -> Recording:
    """The runs with seed 0, evaluated where the scheduler reads them and at their end, and what that costs."""
    read = stopping_rule(scheduler, SETTINGS.evaluations, 0).evaluations
    settings = ProxySettings.model_validate({**SETTINGS.model_dump(), "annealed_evaluations": read or False})
    return Recording.of([_run(run, settings, read) for run in runs if run["seed"] == 0])


def _run(run: Record, settings: ProxySettings, read: Sequence[int]) -> RecordedRun:
    point = surface_space().point(surface_space().unit(run["parameters"]))
    config = proxy_config(settings, point.values, point.attributes, threads=1)
    spent = tokens_spent(plan_run(config, BYTES_PER_TOKEN), config.optimization.batch_tokens)
    numbers = [*read, SETTINGS.evaluations]
    told = [
        RecordedEvaluation(number, (run["bits_per_byte"][number - 1],), cost)
        for number, cost in zip(numbers, spent, strict=True)
        if number <= len(run["bits_per_byte"])
    ]
    return RecordedRun(run["parameters"], tuple(told), spent[-1], run["diverged"])


def tokens_needed(
    surface: Recording, threshold: float, sampler: str, scheduler: SchedulerSpec, seeds: int = SEEDS
) -> NDArray[np.float64]:
    """Tokens until a trial ends at or below ``threshold``, with each seed, shape (1, seeds)."""
    return np.array([[_tokens(surface, threshold, sampler, scheduler, seed) for seed in range(seeds)]])


def _tokens(surface: Recording, threshold: float, sampler: str, scheduler: SchedulerSpec, seed: int) -> float:
    problem = SearchProblem(
        study="replay",
        space=surface.space,
        objectives=(Objective(metric="bits_per_byte"),),
        sampler=SamplerSpec(kind=sampler, seed=seed),
        scheduler=scheduler,
        max_trial_count=len(surface.runs),
        parallel_trial_count=1,
        resources=Resources(),
        storage=Path(),
    )
    reached = simulate_until(problem, surface, threshold)
    return sum(run.cost for run in surface.runs) if reached is None else reached.spent


def threshold_of(runs: Sequence[Record]) -> float:
    """The best final bits per byte and two seed standard deviations."""
    best = min(run["bits_per_byte"][-1] for run in runs if run["seed"] == 0 and not run["diverged"])
    return float(best) + SEED_DEVIATIONS * seed_deviation(runs)


def measure() -> float:
    """Random without a scheduler ÷ the default sampler and scheduler."""
    runs = records()
    threshold = threshold_of(runs)
    nothing = SchedulerSpec()
    surface = recording(runs, nothing)
    near = sum(run.evaluations[-1].values[0] <= threshold for run in surface.runs if not run.failed)
    print(f"{len(surface.runs)} points, {near} within {SEED_DEVIATIONS:g} × {seed_deviation(runs):.4f} of the best")
    random = tokens_needed(surface, threshold, "random", nothing)
    return compare("random / default, tokens", random, tokens_needed(surface, threshold, DEFAULT, nothing))

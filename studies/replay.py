"""Samplers compared on what a study recorded: how soon each would have found a point near the study's best."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import InvalidInput
from search.problem import SearchProblem
from search.recorded import RecordedEvaluation, RecordedRun, Recording
from search.samplers.methods import METHODS
from search.settings import Objective, Resources, SamplerSpec, SchedulerSpec
from search.simulate import simulate_until

COMPARED = ("random", "qmc", "bowl", "tpe")
"""Samplers that are compared when none is named."""
COST = "train_tokens"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one sampler needed, over all seeds."""

    sampler: str
    median_trials: float
    mean_trials: float
    low_trials: float
    high_trials: float
    """The first and the ninth tenth."""
    mean_cost: float
    """Training tokens where every run has them, else trials."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def compare_samplers(
    trials: Sequence[Mapping[str, Any]], objective: Objective, samplers: Sequence[str], seeds: int, within: float
) -> Iterator[Comparison]:
    """Search the recorded trials with each sampler and seed, until a point within ``within`` of the best is found.

    Args:
        trials: with ``state``, ``parameters`` and ``metrics``; those that did not end by themselves are left out.
        objective: what is compared.
        samplers: their kinds.
        seeds: searches with each.
        within: relative distance from the best.

    Raises:
        InvalidInput: a sampler is unknown or cannot take the space, or the trials are no space.
    """
    unknown = next((kind for kind in samplers if kind not in METHODS), None)
    if unknown is not None:
        raise InvalidInput("sampler", f"{unknown!r} is no sampler", f"use one of {', '.join(METHODS)}")
    recording = Recording.of(recorded_runs(trials, objective.metric))
    values = [run.evaluations[-1].values[0] for run in recording.runs if not run.failed]
    if not values:
        raise InvalidInput("study", f"no trial has a {objective.metric}", "choose a study with completed trials")
    best = min(values) if objective.direction == "minimize" else max(values)
    goal = best + (abs(best) * within if objective.direction == "minimize" else -abs(best) * within)
    return (_compared(kind, recording, objective, seeds, goal) for kind in samplers)


def recorded_runs(trials: Sequence[Mapping[str, Any]], metric: str) -> list[RecordedRun]:
    """The trials that completed or failed; one without the metric has failed."""
    ended = [trial for trial in trials if trial["state"] in ("COMPLETE", "FAIL")]
    priced = all(COST in trial["metrics"] for trial in ended if trial["state"] == "COMPLETE")
    runs = []
    for trial in ended:
        cost = float(trial["metrics"].get(COST, 0.0)) if priced else 1.0
        value = trial["metrics"].get(metric) if trial["state"] == "COMPLETE" else None
        told = () if value is None else (RecordedEvaluation(1, (float(value),), cost),)
        runs.append(RecordedRun(trial["parameters"], told, cost, failed=value is None))
    return runs


def _compared(kind: str, recording: Recording, objective: Objective, seeds: int, goal: float) -> Comparison:
    reached = [simulate_until(_problem(kind, recording, objective, seed), recording, goal) for seed in range(seeds)]
    trials = np.array([len(recording.runs) if each is None else each.trials for each in reached], dtype=np.float64)
    costs = [sum(run.cost for run in recording.runs) if each is None else each.spent for each in reached]
    low, high = np.quantile(trials, [0.1, 0.9])
    return Comparison(
        kind, float(np.median(trials)), float(trials.mean()), float(low), float(high), float(np.mean(costs))
    )


def _problem(kind: str, recording: Recording, objective: Objective, seed: int) -> SearchProblem:
    return SearchProblem(
        study="simulated",
        space=recording.space,
        objectives=(objective,),
        sampler=SamplerSpec.model_validate({"kind": kind, "seed": seed}),
        scheduler=SchedulerSpec(),
        max_trial_count=len(recording.runs),
        parallel_trial_count=1,
        resources=Resources(),
        storage=Path(),
    )

"""Which running trials are stopped early: objects of ``ray.tune.schedulers``."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

from search.problem import PastTrial, SearchProblem
from search.slot import EVALUATION, OBJECTIVE

_MODES = {"minimize": "min", "maximize": "max"}


def build_scheduler(problem: SearchProblem, history: Sequence[PastTrial]) -> TrialScheduler:
    """The scheduler that ``problem`` names, knowing what earlier trials reported."""
    scheduler = _SCHEDULERS[problem.scheduler.kind](problem)
    for trial in history:
        if trial.evaluations:
            _replay(scheduler, trial)
    return scheduler


def _fifo(problem: SearchProblem) -> TrialScheduler:
    return FIFOScheduler()  # type: ignore[no-untyped-call]


def _asha(problem: SearchProblem) -> TrialScheduler:
    """Asynchronous successive halving with one bracket (arXiv 1810.05934, algorithm 2), rungs in evaluations."""
    return AsyncHyperBandScheduler(
        time_attr=EVALUATION,
        metric=OBJECTIVE,
        mode=_MODES[problem.objective.direction],
        max_t=problem.space.settings.evaluations,
        grace_period=problem.scheduler.grace_evaluations,
        reduction_factor=problem.scheduler.reduction_factor,
    )


_SCHEDULERS: dict[str, Callable[[SearchProblem], TrialScheduler]] = {"none": _fifo, "asha": _asha}


def _replay(scheduler: TrialScheduler, trial: PastTrial) -> None:
    """Let the scheduler see an earlier trial: it reads the trial's identifier only, and of the controller nothing."""
    controller: Any = None
    stand_in: Any = SimpleNamespace(trial_id=f"past-{trial.number}")
    scheduler.on_trial_add(controller, stand_in)
    for evaluation, value in enumerate(trial.evaluations, start=1):
        scheduler.on_trial_result(controller, stand_in, {EVALUATION: evaluation, OBJECTIVE: value})

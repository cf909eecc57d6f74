"""The object of ``ray.tune.schedulers`` that lets a stopping rule decide which running trials are stopped."""

from collections.abc import Sequence
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.origins import ORIGIN
from search.problem import PastTrial, SearchProblem
from search.programs import Programs
from search.slot import EVALUATION, OBJECTIVE
from search.stopping import StoppingRule, stopping_rule


def build_scheduler(problem: SearchProblem, history: Sequence[PastTrial]) -> "RuleScheduler":
    """The scheduler that ``problem`` names, knowing what earlier trials reported."""
    rule = stopping_rule(problem.scheduler, problem.space.settings.evaluations, problem.sampler.seed)
    for trial in history:
        if trial.attributes.get(ORIGIN) == "replicate":
            continue
        for evaluation, value in enumerate(trial.evaluations, start=1):
            rule.report(trial.number, evaluation, value)
    return RuleScheduler(rule)


class RuleScheduler(FIFOScheduler):
    """Starts trials in order, and stops one when the rule says so. A program of several trials is never stopped."""

    def __init__(self, rule: StoppingRule) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rule = rule

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The program that waits too long, if any; all others Tune starts as they came and as actors become free.

        Not the oldest of all: Tune's own scheduler looks for that one among all trials that ever were.
        """
        programs: Programs = tune_controller.search_alg
        return programs.overdue()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Let the rule learn of an evaluation, and decide."""
        return TrialScheduler.STOP if self._reason(trial, result) else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Let the rule learn of the last evaluation."""
        self._reason(trial, result)

    def _reason(self, trial: Trial, result: dict[str, Any]) -> str | None:
        members = trial.config["trials"]
        replicate = members[0]["attributes"].get(ORIGIN) == "replicate"  # trained to its end, whatever it says
        if len(members) > 1 or OBJECTIVE not in result or replicate:
            return None
        return self._rule.report(members[0]["number"], result[EVALUATION], result[OBJECTIVE])

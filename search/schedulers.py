"""The object of ``ray.tune.schedulers`` that lets a stopping rule decide which running trials are stopped."""

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.programs import Programs
from search.slot import EVALUATION, OBJECTIVE
from search.stopping import StoppingRule
from search.stopping.past import is_judged


class RuleScheduler(FIFOScheduler):
    """Starts trials in order, and stops one when its rule says so. A program of several trials is never stopped.

    Args:
        rule: what decides.
        evaluations: the numbers of the evaluations that each trial reports, in order.
    """

    def __init__(self, rule: StoppingRule, evaluations: tuple[int, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rule = rule
        self._evaluations = evaluations
        self.reasons: dict[int, str] = {}
        """Why trials were stopped, by number."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The program that waits too long, if any; all others Tune starts as they came and as actors become free.

        Not the oldest of all: Tune's own scheduler looks for that one among all trials that ever were.
        """
        programs: Programs = tune_controller.search_alg
        return programs.overdue()

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Let the rule learn of an evaluation, and decide."""
        number, place = _judged(trial), result[EVALUATION] - 1
        if number is None or OBJECTIVE not in result or place >= len(self._evaluations):
            return TrialScheduler.CONTINUE  # an objective may report more often than a run is evaluated
        reason = self._rule.report(number, self._evaluations[place], result[OBJECTIVE])
        if reason is None:
            return TrialScheduler.CONTINUE
        self.reasons[number] = reason
        return TrialScheduler.STOP

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Let the rule learn of the last evaluation."""
        number = _judged(trial)
        if number is not None and OBJECTIVE in result:
            self._rule.report(number, self._rule.last, result[OBJECTIVE])

    def expected_final(self, number: int) -> float:
        """What a stopped trial would have reached."""
        return self._rule.curves.expected_final(number)


def _judged(trial: Trial) -> int | None:
    """The number of a program's only trial, if it may be stopped."""
    (first, *others) = trial.config["trials"]
    number: int = first["number"]
    return number if not others and is_judged(first["attributes"]) else None

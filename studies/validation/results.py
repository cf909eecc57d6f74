"""From the trials of a validation's studies to what is judged: values by candidate and seed."""

from collections.abc import Mapping, Sequence

from studies.records import TERMINAL_TRIAL_STATES, Trial, TrialState
from studies.validation.gate import Rung, Runs
from studies.validation.judgement import RECIPE, CandidateName
from studies.validation.plan import METRIC
from studies.validation.request import CandidatePlan, RungPlan
from trainer.errors import DIVERGED


def rung_of(plan: RungPlan, trials: Sequence[Trial]) -> Rung:
    """The runs of one size.

    Points come first in a study, each at all seeds before the next, so that the number of a trial says what it is;
    trials that were added later are not read. A rival that is the recipe's very config has no runs of its own.
    """
    by_number = {trial.number: trial for trial in trials}
    runs: Mapping[CandidateName, Runs] = {
        candidate.name: _runs(candidate, plan.seeds, by_number)
        for candidate in plan.candidates
        if candidate.name == RECIPE or candidate.point > 0
    }
    return Rung(plan.total_parameters, runs)


def runs_of(plan: RungPlan) -> int:
    """Runs of one size."""
    return len(plan.seeds) * len({candidate.point for candidate in plan.candidates})


def ended_runs(plan: RungPlan, trials: Sequence[Trial]) -> int:
    """How many of them have ended, whatever came of them."""
    count = runs_of(plan)
    return sum(trial.state in TERMINAL_TRIAL_STATES for trial in trials if trial.number < count)


def _runs(candidate: CandidatePlan, seeds: Sequence[int], trials: Mapping[int, Trial]) -> Runs:
    values: dict[int, float] = {}
    diverged = 0
    for place, seed in enumerate(seeds):
        trial = trials.get(candidate.point * len(seeds) + place)
        if trial is None:
            continue
        if trial.state is TrialState.COMPLETE and METRIC in trial.metrics:
            values[seed] = trial.metrics[METRIC]
        diverged += trial.state is TrialState.FAIL and (trial.reason or "").startswith(DIVERGED)
    return Runs(values, diverged, len(seeds) - len(values) - diverged)

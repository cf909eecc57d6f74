"""The winner of a stage: the setting of its study that later stages build on.

- Where the study trains leaders on fresh seeds (``seeds``): the leader of the best mean over them, in which the run
  that made it a leader has no part (``studies.leaders``).
- Else the setting of the best mean over the study's own seeds, each setting at its best inner point. A setting that
  lacks a seed, because the run failed, was stopped or did not begin, comes after all that lack none. Runs of a setting
  at the same seed count as one, at their mean.
- Of several objectives the knee of the front.

Of equal means the setting that the stage started from comes first, then they are in the order of their trials.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from search.events import Value
from search.origins import ORIGIN
from studies.campaigns.setting import Winner
from studies.front import find_front
from studies.leaders import rank_leaders
from studies.records import Trial, TrialState
from studies.spec import StudySpec

SEED = "seed"


def find_winner(spec: StudySpec, trials: Sequence[Trial], current: Mapping[str, Value] | None) -> Winner | None:
    """The winner of a study that has ended; None where no trial has a value of every objective.

    Args:
        spec: of the study.
        trials: all of them.
        current: what the stage started from, of what it varies; None where the study does not have it.
    """
    metrics = [objective.metric for objective in spec.objectives]
    complete = [
        one for one in trials if one.state is TrialState.COMPLETE and all(name in one.metrics for name in metrics)
    ]
    own = [trial for trial in complete if trial.attributes.get(ORIGIN) != "replicate"]
    if not own:
        return None
    found = _knee(spec, own) if len(metrics) > 1 else _leader(spec, trials, own) or _best_mean(spec, own, current)
    if found is None:
        return None
    is_current = None if current is None else _is(found.parameters, current)
    return found.model_copy(update={"current": is_current})


def _is(parameters: Mapping[str, Value], current: Mapping[str, Value] | None) -> bool:
    return current is not None and all(parameters.get(name) == value for name, value in current.items())


def _leader(spec: StudySpec, trials: Sequence[Trial], own: Sequence[Trial]) -> Winner | None:
    """None where none was trained on fresh seeds."""
    objective = spec.objectives[0]
    replicates = [trial for trial in trials if trial.attributes.get(ORIGIN) == "replicate"]
    ranked = rank_leaders(replicates, objective.metric, objective.direction)
    by_number = {trial.number: trial for trial in own}
    first = next((leader for leader in ranked if leader.number in by_number), None)
    if first is None:
        return None
    return Winner(
        trial=first.number,
        rule="fresh_seeds",
        metric=objective.metric,
        value=first.mean,
        runs=len(first.values),
        parameters=_without_seed(by_number[first.number]),
    )


def _best_mean(spec: StudySpec, own: Sequence[Trial], current: Mapping[str, Value] | None) -> Winner:
    objective = spec.objectives[0]
    groups: dict[frozenset[tuple[str, Value]], dict[Value | None, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for trial in sorted(own, key=lambda one: one.number):
        groups[frozenset(_without_seed(trial).items())][trial.parameters.get(SEED)].append(trial)
    most = max(map(len, groups.values()))
    sign = 1.0 if objective.direction == "minimize" else -1.0

    def mean(group: Mapping[Value | None, Sequence[Trial]]) -> float:
        return fmean(fmean(trial.metrics[objective.metric] for trial in runs) for runs in group.values())

    def first(group: Mapping[Value | None, Sequence[Trial]]) -> Trial:
        return next(iter(group.values()))[0]

    def rank(group: Mapping[Value | None, Sequence[Trial]]) -> tuple[bool, float, bool, int]:
        trial = first(group)
        return len(group) < most, sign * mean(group), not _is(trial.parameters, current), trial.number

    best = min(groups.values(), key=rank)
    return Winner(
        trial=first(best).number,
        rule="mean_over_seeds",
        metric=objective.metric,
        value=mean(best),
        runs=len(best),
        parameters=_without_seed(first(best)),
    )


def _knee(spec: StudySpec, own: Sequence[Trial]) -> Winner | None:
    objectives = spec.objectives
    values = {trial.number: tuple(trial.metrics[one.metric] for one in objectives) for trial in own}
    knee = find_front([objective.direction for objective in objectives], values).knee
    if knee is None:
        return None
    trial = next(trial for trial in own if trial.number == knee)
    metric = objectives[0].metric
    return Winner(
        trial=knee,
        rule="knee",
        metric=metric,
        value=trial.metrics[metric],
        runs=1,
        parameters=_without_seed(trial),
    )


def _without_seed(trial: Trial) -> dict[str, Value]:
    return {name: value for name, value in trial.parameters.items() if name != SEED}

"""What came of trials that others train."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from search.origins import ORIGIN_ATTRIBUTES
from search.stopping.past import is_judged
from studies.plans import ExternalSearch, Plans
from studies.records import IntermediateValue, Trial, TrialState
from studies.repository import attempts, clients, trials
from studies.service.external.holding import end_if_finished, held, objective_values, tellable, trial_of
from studies.service.external.requests import CompleteRequest, ReportRequest
from studies.spec import StudySpec


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether a trial is to go on."""

    stop: bool
    reason: str | None


def report(session: Session, plans: Plans, owner: str, study_id: int, number: int, request: ReportRequest) -> Advice:
    """Store what a trial was worth at a step; whether its scheduler stops it, which ends it as PRUNED.

    Raises:
        NotFound: the owner has no such study, or it has no such trial.
        InvalidInput: the objective is missing, where a scheduler compares it.
        Conflict: the trial has ended otherwise, or went to another client; or the study's are not trained elsewhere.
    """
    with held(session, owner, study_id) as (study, spec):
        if tellable(session, study, number, request.client_id) is TrialState.PRUNED:
            return Advice(stop=True, reason=trial_of(session, study_id, number).reason)
        if spec.scheduler.kind == "none":
            plans.take_kept(session, study)
            _store(session, study_id, number, request)
            return Advice(stop=False, reason=None)
        metric = spec.objectives[0].metric
        if metric not in request.values:
            raise InvalidInput(f"values.{metric}", "is missing, and the scheduler compares it", "report it")
        search = plans.take(session, study)
        _store(session, study_id, number, request)
        reason = _reason_to_stop(session, search, spec, study_id, number, request.step)
        if reason is not None:
            now = datetime.now(UTC)
            attempts.finish(session, study_id, number, TrialState.PRUNED, request.values, {}, reason, now)
            search.plan.end(number, (search.rule.curves.expected_final(number),), pruned=True)
            end_if_finished(session, search, study_id)
        return Advice(stop=reason is not None, reason=reason)


def _store(session: Session, study_id: int, number: int, request: ReportRequest) -> None:
    """Store the values, and that the trial's client lives."""
    values = [IntermediateValue(number, request.step, name, value) for name, value in request.values.items()]
    attempts.report(session, study_id, values)
    clients.renew(session, study_id, number, timedelta(seconds=request.lease_seconds))


def complete(session: Session, plans: Plans, owner: str, study_id: int, number: int, request: CompleteRequest) -> Trial:
    """End a trial; told twice, it changes nothing more.

    Raises:
        NotFound: the owner has no such study, or it has no such trial.
        InvalidInput: an objective is missing, or an attribute is the study's own.
        Conflict: the trial has ended otherwise, or went to another client; or the study's are not trained elsewhere.
    """
    with held(session, owner, study_id) as (study, spec):
        if _is_repeated(session, study_id, number, request):
            return trial_of(session, study_id, number)
        tellable(session, study, number, request.client_id)
        metrics = request.metrics or {}
        missing = [each.metric for each in spec.objectives if each.metric not in metrics and request.failed is None]
        if missing:
            raise InvalidInput(f"metrics.{missing[0]}", "is an objective, and missing", "tell it, or why it failed")
        own = trial_of(session, study_id, number)
        _check_attributes(own, request)
        search = plans.take(session, study)
        state = TrialState.COMPLETE if request.failed is None else TrialState.FAIL
        now = datetime.now(UTC)
        attempts.finish(session, study_id, number, state, metrics, request.attributes, request.failed, now)
        search.plan.end(number, objective_values(spec, metrics))
        if state is TrialState.COMPLETE and is_judged(own.attributes):
            search.rule.report(number, search.rule.last, metrics[spec.objectives[0].metric])
        end_if_finished(session, search, study_id)
        return trial_of(session, study_id, number)


def _check_attributes(trial: Trial, request: CompleteRequest) -> None:
    for name, value in request.attributes.items():
        if name in ORIGIN_ATTRIBUTES or trial.attributes.get(name, value) != value:
            raise InvalidInput(f"attributes.{name}", "is what the study itself says of the trial", "leave it out")


def _is_repeated(session: Session, study_id: int, number: int, request: CompleteRequest) -> bool:
    """Whether a trial has ended as it is told now, or was pruned meanwhile."""
    found = trials.get(session, study_id, number)
    if found is None:
        return False
    if found.state is TrialState.PRUNED:
        return True
    told = (request.metrics, request.failed)
    ended = {TrialState.COMPLETE: (dict(found.metrics), None), TrialState.FAIL: (None, found.reason)}
    return ended.get(found.state) == told


def _reason_to_stop(
    session: Session, search: ExternalSearch, spec: StudySpec, study_id: int, number: int, step: int
) -> str | None:
    """What the scheduler says to the evaluation at ``step``: its place among the steps that were reported is that among
    the evaluations that a trial makes. Leaders on fresh seeds are trained to their end.
    """
    metric = spec.objectives[0].metric
    told = trials.intermediate_values(session, study_id, number)
    values = {value.step: value.value for value in told if value.metric == metric}
    place = sorted(values).index(step)
    if place >= len(search.evaluations) - 1 or not is_judged(trial_of(session, study_id, number).attributes):
        return None
    return search.rule.report(number, search.evaluations[place], values[step])

"""Trials for those who train elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from search.plan import MAX_LOST_WORKERS
from studies.errors import Conflict
from studies.plans import ExternalSearch, Plans
from studies.records import ACTIVE_STUDY_STATES, StudyState, Trial, TrialState
from studies.repository import attempts, clients, studies, trials
from studies.service.external.holding import end_if_finished, held
from studies.service.external.requests import SuggestRequest


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Trials for a client; none where all others run or have ended."""

    trials: Sequence[Trial]
    state: StudyState
    """The study's; once it has ended there is nothing to wait for."""


def suggest(session: Session, plans: Plans, owner: str, study_id: int, request: SuggestRequest) -> Suggestion:
    """Give a client trials: those that it has not ended, then others.

    Raises:
        NotFound: the owner has no such study.
        Conflict: its trials are not trained elsewhere, or it is paused.
    """
    with held(session, owner, study_id) as (study, _):
        if study.state is StudyState.PAUSED:
            raise Conflict(f"study {study_id} is PAUSED; resume it first")
        if study.state not in ACTIVE_STUDY_STATES:
            return Suggestion([], study.state)
        chosen = clients.numbers_of(session, study_id, request.client_id)[: request.count]
        time = timedelta(seconds=request.lease_seconds)
        clients.hand_over(session, study_id, chosen, request.client_id, time)
        if len(chosen) < request.count:
            if study.state is StudyState.QUEUED:
                now = datetime.now(UTC)
                studies.set_state(session, study_id, StudyState.RUNNING, started_at=study.started_at or now)
            search = plans.take(session, study)
            _take_back(session, search, study_id)
            further = _begin(session, plans, search, study_id, request.count - len(chosen))
            clients.hand_over(session, study_id, further, request.client_id, time)
            chosen += further
            end_if_finished(session, search, study_id)
        found = [trials.get(session, study_id, number) for number in chosen]
        state = studies.state_of(session, study_id) or study.state
        return Suggestion([trial for trial in found if trial is not None], state)


def clients_now(session: Session, study_id: int) -> dict[str, int]:
    """How many trials each client trains now, by its name."""
    return clients.count_running(session, study_id)


def _take_back(session: Session, search: ExternalSearch, study_id: int) -> None:
    """Let trials wait whose clients are silent; one that lost too many of them has failed."""
    now = datetime.now(UTC)
    for number in clients.overdue(session, study_id):
        reason = "its client said nothing for the time that it had"
        if search.plan.lose(number):
            attempts.lose(session, study_id, number, reason, now)
        else:
            lost = f"lost {MAX_LOST_WORKERS} clients; the last one: {reason}"
            attempts.finish(session, study_id, number, TrialState.FAIL, {}, {}, lost, now)


def _begin(session: Session, plans: Plans, search: ExternalSearch, study_id: int, count: int) -> list[int]:
    """Begin up to ``count`` trials of the plan; their numbers."""
    begun: list[int] = []
    now = datetime.now(UTC)
    while len(begun) < count:
        with plans.drawing:
            group = search.plan.start_next()
        if not group:
            break
        for trial in group:
            attempts.start(session, study_id, trial.number, trial.parameters, trial.attributes, now)
            begun.append(trial.number)
    return begun

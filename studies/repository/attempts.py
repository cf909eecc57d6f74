"""What happens to a trial: attempts start, end or are lost.

Every function may be called twice with the same arguments, and none changes a finished trial. What changes bears the
study's new revision. A search calls these for each of its events: their statements are built once, on the tables
themselves, since building one and passing it through the mapped classes took longer than running it (measured).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from search.events import Value
from studies.records import TERMINAL_TRIAL_STATES, AttemptState, IntermediateValue, TrialState
from studies.repository.inserts import insert_missing
from studies.repository.studies import touch
from studies.repository.trials import metric_rows, numbers, storable
from studies.tables import AttemptRow, IntermediateValueRow, MetricRow, TrialRow, table_of

_Stored = Row[TrialState, int, dict[str, Any]]
_TRIALS, _ATTEMPTS, _METRICS, _VALUES = map(table_of, (TrialRow, AttemptRow, MetricRow, IntermediateValueRow))
_THIS = (_TRIALS.c.study_id == bindparam("of_study"), _TRIALS.c.number == bindparam("of_number"))
_TRIAL = select(_TRIALS.c.state, _TRIALS.c.attempts, _TRIALS.c.attributes).where(*_THIS)
_ADD_TRIAL, _CHANGE_TRIAL = insert(_TRIALS), update(_TRIALS).where(*_THIS)
_ADD_ATTEMPT, _ADD_METRICS = insert(_ATTEMPTS), insert(_METRICS)
_COUNT_LOST_WORKER = _CHANGE_TRIAL.values(lost_workers=_TRIALS.c.lost_workers + 1)
_THESE = (_TRIALS.c.study_id == bindparam("of_study"), _TRIALS.c.number.in_(bindparam("of_numbers", expanding=True)))
_RUNNING_AMONG = select(_TRIALS.c.number).where(*_THESE, _TRIALS.c.state == TrialState.RUNNING)
_CHANGE_TRIALS = update(_TRIALS).where(*_THESE)
_END_ATTEMPTS = update(_ATTEMPTS).where(
    _ATTEMPTS.c.study_id == bindparam("of_study"),
    _ATTEMPTS.c.number.in_(bindparam("of_numbers", expanding=True)),
    _ATTEMPTS.c.state == AttemptState.RUNNING,
)
_REMOVE_VALUES = delete(_VALUES).where(
    _VALUES.c.study_id == bindparam("of_study"), _VALUES.c.number.in_(bindparam("of_numbers", expanding=True))
)


def start(
    session: Session,
    study_id: int,
    number: int,
    parameters: Mapping[str, Value],
    attributes: Mapping[str, Value],
    now: datetime,
) -> bool:
    """Begin an attempt at a trial that waits or is new; whether one began."""
    row = _trial(session, study_id, number)
    if row is not None and row.state is not TrialState.WAITING:
        return False
    attempt = 1 if row is None else row.attempts + 1
    values = {
        "state": TrialState.RUNNING,
        "parameters": dict(parameters),
        "attributes": storable(attributes),
        "attempts": attempt,
        "started_at": now,
        "revision": touch(session, study_id),
    }
    _store(session, study_id, number, row, values)
    key = {"study_id": study_id, "number": number, "attempt": attempt}
    session.connection().execute(_ADD_ATTEMPT, {**key, "state": AttemptState.RUNNING, "started_at": now})
    return True


def report(session: Session, study_id: int, values: Sequence[IntermediateValue]) -> None:
    """Insert what running trials reported; values of other trials, and those already there, are left out."""
    reported = {"of_study": study_id, "of_numbers": sorted({value.number for value in values})}
    running = set(session.connection().scalars(_RUNNING_AMONG, reported))
    key = {"study_id": study_id, "revision": touch(session, study_id)}
    rows = [
        {**key, "number": v.number, "step": v.step, "metric": v.metric, "value": v.value}
        for v in values
        if v.number in running
    ]
    insert_missing(session, IntermediateValueRow, rows)


def finish(
    session: Session,
    study_id: int,
    number: int,
    state: TrialState,
    metrics: Mapping[str, float],
    attributes: Mapping[str, Value],
    reason: str | None,
    now: datetime,
) -> bool:
    """End a trial, also one that never started; whether it had not ended before."""
    row = _trial(session, study_id, number)
    if row is not None and row.state in TERMINAL_TRIAL_STATES:
        return False
    known = {} if row is None else row.attributes
    values = {
        "state": state,
        "attributes": {**known, **storable(attributes)},
        "reason": reason,
        "finished_at": now,
        "revision": touch(session, study_id),
    }
    _store(session, study_id, number, row, values)
    if metrics:
        session.connection().execute(_ADD_METRICS, metric_rows(study_id, number, metrics))
    _end_attempts(session, study_id, [number], AttemptState.FINISHED, reason, now)
    return True


def lose(session: Session, study_id: int, number: int, reason: str, now: datetime) -> bool:
    """Mark a running attempt as stale, whose worker is gone; its trial waits for another. Whether it was running."""
    row = _trial(session, study_id, number)
    if row is None or row.state is not TrialState.RUNNING:
        return False
    _requeue(session, study_id, [number], reason, now)
    session.connection().execute(_COUNT_LOST_WORKER, {"of_study": study_id, "of_number": number})
    return True


def lose_all(session: Session, study_id: int, reason: str, now: datetime) -> list[int]:
    """Mark every running attempt of a study as stale, whose driver is gone; the numbers of their trials."""
    running = numbers(session, study_id, TrialState.RUNNING)
    _requeue(session, study_id, running, reason, now)
    return running


def _requeue(session: Session, study_id: int, numbers: Collection[int], reason: str, now: datetime) -> None:
    these = {"of_study": study_id, "of_numbers": list(numbers)}
    waiting = {"state": TrialState.WAITING, "revision": touch(session, study_id)}
    session.connection().execute(_CHANGE_TRIALS, {**these, **waiting})
    _end_attempts(session, study_id, numbers, AttemptState.STALE, reason, now)
    session.connection().execute(_REMOVE_VALUES, these)


def _end_attempts(
    session: Session, study_id: int, numbers: Collection[int], state: AttemptState, reason: str | None, now: datetime
) -> None:
    end = {"state": state, "reason": reason, "finished_at": now}
    session.connection().execute(_END_ATTEMPTS, {"of_study": study_id, "of_numbers": list(numbers), **end})


def _trial(session: Session, study_id: int, number: int) -> _Stored | None:
    return session.connection().execute(_TRIAL, {"of_study": study_id, "of_number": number}).one_or_none()


def _store(
    session: Session, study_id: int, number: int, row: Row[Any, Any, Any] | None, values: Mapping[str, Any]
) -> None:
    """Insert the trial, or change it when ``row`` says that it exists."""
    if row is not None:
        session.connection().execute(_CHANGE_TRIAL, {"of_study": study_id, "of_number": number, **values})
        return
    new = {"study_id": study_id, "number": number, "parameters": {}, "attempts": 0}
    session.connection().execute(_ADD_TRIAL, {**new, **values})

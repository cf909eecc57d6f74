"""What happens to a trial: attempts start, end or are lost.

Every function may be called twice with the same arguments, and none changes a finished trial. What changes bears the
study's new revision.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.orm import Session

from search.events import Value
from studies.records import TERMINAL_TRIAL_STATES, AttemptState, IntermediateValue, TrialState
from studies.repository.inserts import insert_missing
from studies.repository.studies import touch
from studies.repository.trials import metric_rows, numbers, storable
from studies.tables import AttemptRow, IntermediateValueRow, MetricRow, TrialRow


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
    session.execute(insert(AttemptRow), [{**key, "state": AttemptState.RUNNING, "started_at": now}])
    return True


def report(session: Session, study_id: int, values: Sequence[IntermediateValue]) -> None:
    """Insert what running trials reported; values of other trials, and those already there, are left out."""
    reported = {value.number for value in values}
    statement = select(TrialRow.number).where(*_these(study_id, reported), TrialRow.state == TrialState.RUNNING)
    running = set(session.scalars(statement))
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
        session.execute(insert(MetricRow), metric_rows(study_id, number, metrics))
    _end_attempts(session, study_id, [number], AttemptState.FINISHED, reason, now)
    return True


def lose(session: Session, study_id: int, number: int, reason: str, now: datetime) -> bool:
    """Mark a running attempt as stale, whose worker is gone; its trial waits for another. Whether it was running."""
    row = _trial(session, study_id, number)
    if row is None or row.state is not TrialState.RUNNING:
        return False
    _requeue(session, study_id, [number], reason, now)
    counted = update(TrialRow).where(*_these(study_id, [number]))
    session.execute(counted.values(lost_workers=TrialRow.lost_workers + 1))
    return True


def lose_all(session: Session, study_id: int, reason: str, now: datetime) -> list[int]:
    """Mark every running attempt of a study as stale, whose driver is gone; the numbers of their trials."""
    running = numbers(session, study_id, TrialState.RUNNING)
    _requeue(session, study_id, running, reason, now)
    return running


def _requeue(session: Session, study_id: int, numbers: Collection[int], reason: str, now: datetime) -> None:
    waiting = {"state": TrialState.WAITING, "revision": touch(session, study_id)}
    session.execute(update(TrialRow).where(*_these(study_id, numbers)).values(**waiting))
    _end_attempts(session, study_id, numbers, AttemptState.STALE, reason, now)
    table = IntermediateValueRow
    session.execute(delete(table).where(table.study_id == study_id, table.number.in_(numbers)))


def _end_attempts(
    session: Session, study_id: int, numbers: Collection[int], state: AttemptState, reason: str | None, now: datetime
) -> None:
    table = AttemptRow
    running = (table.study_id == study_id, table.number.in_(numbers), table.state == AttemptState.RUNNING)
    session.execute(update(table).where(*running).values(state=state, reason=reason, finished_at=now))


def _trial(session: Session, study_id: int, number: int) -> Row[Any] | None:
    statement = select(TrialRow.state, TrialRow.attempts, TrialRow.attributes)
    return session.execute(statement.where(*_these(study_id, [number]))).one_or_none()


def _store(session: Session, study_id: int, number: int, row: Row[Any] | None, values: Mapping[str, Any]) -> None:
    """Insert the trial, or change it when ``row`` says that it exists."""
    if row is not None:
        session.execute(update(TrialRow).where(*_these(study_id, [number])).values(**values))
        return
    new = {"study_id": study_id, "number": number, "parameters": {}, "attempts": 0}
    session.execute(insert(TrialRow), [{**new, **values}])


def _these(study_id: int, numbers: Collection[int]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return TrialRow.study_id == study_id, TrialRow.number.in_(numbers)

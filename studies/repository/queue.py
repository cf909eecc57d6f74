"""Queries on what waits for a process: studies that are to be driven, operations that are to be executed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from studies.records import OperationState, StudyState
from studies.repository.leases import database_now
from studies.tables import OperationRow, StudyRow

RUNNABLE_STATES = frozenset({StudyState.QUEUED, StudyState.RUNNING, StudyState.STOPPING})
"""States of a study that a driver works on, or is to."""
MOST_LOOKED_AT = 1000
"""Open rows that one look takes in, the oldest ones (assumed: far more than run at once)."""
UNFINISHED_STATES = frozenset({OperationState.PENDING, OperationState.RUNNING})


@dataclass(frozen=True, slots=True)
class Open:
    """A row that is to be worked on."""

    id: int
    holder: str | None
    """Who holds its lease, or held it last."""
    held: bool
    """Whether the lease has not expired."""
    due: bool
    """Whether its time has come."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What a study keeps about its jobs."""

    name: str
    state: StudyState
    error: str | None
    job_id: str | None
    dashboard_url: str | None
    fruitless_runs: int
    finished_at_submission: int | None


def open_studies(session: Session) -> list[Open]:
    """List the studies that are driven or to be driven, oldest first; others train the external ones."""
    now = database_now(session)
    table = StudyRow
    columns = (table.id, table.lease_holder, table.lease_expires_at, table.not_before)
    driven = (table.state.in_(RUNNABLE_STATES), table.external.is_(False))
    found = select(*columns).where(*driven).order_by(table.id).limit(MOST_LOOKED_AT)
    return [
        Open(row.id, row.lease_holder, _after(row.lease_expires_at, now), not _after(row.not_before, now))
        for row in session.execute(found)
    ]


def open_operations(session: Session) -> list[Open]:
    """List the operations that are executed or to be executed, oldest first."""
    now = database_now(session)
    table = OperationRow
    columns = (table.id, table.lease_holder, table.lease_expires_at)
    found = select(*columns).where(table.state.in_(UNFINISHED_STATES)).order_by(table.id).limit(MOST_LOOKED_AT)
    rows = session.execute(found)
    return [Open(row.id, row.lease_holder, _after(row.lease_expires_at, now), True) for row in rows]


def drivers_at(session: Session, dashboard_url: str) -> list[str]:
    """List who holds the leases of studies whose newest job is at one Ray."""
    table = StudyRow
    there = (table.dashboard_url == dashboard_url, table.lease_expires_at > database_now(session))
    return [holder for holder in session.scalars(select(table.lease_holder).where(*there)) if holder is not None]


def job_record(session: Session, study_id: int) -> JobRecord | None:
    """Read what a study keeps about its jobs; None when it is gone."""
    table = StudyRow
    job = (table.error, table.job_id, table.dashboard_url, table.fruitless_runs, table.finished_at_submission)
    row = session.execute(select(table.name, table.state, *job).where(table.id == study_id)).one_or_none()
    return None if row is None else JobRecord(*row)


def set_job(session: Session, study_id: int, pause: timedelta, **values: Any) -> None:
    """Note a job of a study, and that the next one is to wait for ``pause``."""
    changed: Mapping[str, Any] = {"revision": StudyRow.revision + 1, **values}
    earliest = database_now(session) + pause
    session.execute(update(StudyRow).where(StudyRow.id == study_id).values(not_before=earliest, **changed))


def forget_run(session: Session, study_id: int, **values: Any) -> None:
    """Leave the newest job out of what is judged: it ended because it was told to, or never began."""
    session.execute(update(StudyRow).where(StudyRow.id == study_id).values(finished_at_submission=None, **values))


def forget_runs_of(session: Session, dashboard_url: str) -> None:
    """Leave the jobs out of what is judged that end with their Ray, because it is told to."""
    table = StudyRow
    ended = update(table).where(table.dashboard_url == dashboard_url, table.state.in_(RUNNABLE_STATES))
    session.execute(ended.values(finished_at_submission=None, not_before=None))


def _after(time: Any, now: Any) -> bool:
    return time is not None and time > now

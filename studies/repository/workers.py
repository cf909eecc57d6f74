"""Signs of life of workers, on the database's clock."""

from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from studies.records import Worker
from studies.repository.inserts import insert_missing
from studies.repository.leases import database_now
from studies.tables import WorkerRow

SILENT_AFTER = timedelta(seconds=15)
"""A worker that said nothing for so long is not counted as alive (assumed: many times its pause between two looks)."""
FORGOTTEN_AFTER = timedelta(days=1)
"""Its row is removed after so long (assumed)."""


def say_alive(session: Session, worker_id: str, dashboard_url: str | None) -> None:
    """Note that a worker lives, and forget those that have long been silent."""
    now = database_now(session)
    insert_missing(session, WorkerRow, [{"id": worker_id, "started_at": now, "seen_at": now}])
    this = update(WorkerRow).where(WorkerRow.id == worker_id)
    session.execute(this.values(seen_at=now, dashboard_url=dashboard_url))
    session.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - FORGOTTEN_AFTER))


def say_goodbye(session: Session, worker_id: str) -> None:
    """Note that a worker ends."""
    session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


def list_alive(session: Session) -> list[Worker]:
    """List the workers that live, the longest running first."""
    alive = WorkerRow.seen_at > database_now(session) - SILENT_AFTER
    rows = session.scalars(select(WorkerRow).where(alive).order_by(WorkerRow.started_at, WorkerRow.id))
    return [Worker(row.id, row.dashboard_url, row.started_at, row.seen_at) for row in rows]

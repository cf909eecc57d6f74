"""Leases: which process may work on a row, judged on the database's clock alone.

Each claim raises the row's fencing token. A write made under a lease verifies its token in the same transaction,
so that a process that was thought dead and wakes up cannot write (Kleppmann, "How to do distributed locking", 2016).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select, type_coerce, update
from sqlalchemy.orm import Session

from studies.errors import LeaseHeld, LeaseLost, NotFound
from studies.tables import OperationRow, StudyRow, UtcDateTime, table_of

LeasedTable = type[StudyRow] | type[OperationRow]

_SUBJECTS: dict[LeasedTable, str] = {StudyRow: "study", OperationRow: "operation"}
_TOKENS = {
    table: select(table_of(table).c.lease_token).where(table_of(table).c.id == bindparam("of_id")).with_for_update()
    for table in _SUBJECTS
}
_CLOCKS: dict[str, ColumnElement[datetime]] = {
    "sqlite": type_coerce(func.strftime("%Y-%m-%d %H:%M:%f000", "now"), UtcDateTime),
    "postgresql": type_coerce(func.clock_timestamp(), UtcDateTime),
}


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on one row, as long as its token is the row's."""

    table: LeasedTable
    id: int
    holder: str
    token: int

    def __str__(self) -> str:
        return f"{_SUBJECTS[self.table]} {self.id}"


def database_now(session: Session) -> datetime:
    """Read the database's clock."""
    return session.execute(select(_CLOCKS[session.get_bind().dialect.name])).scalar_one()


def claim(
    session: Session, table: LeasedTable, row_id: int, holder: str, ttl: timedelta, dead_holder: str | None = None
) -> Lease:
    """Take the lease of a row for ``ttl``.

    A lease of ``dead_holder``, a process known to have ended, does not count.

    Raises:
        NotFound: there is no such row.
        LeaseHeld: another process holds the lease and it has not expired.
    """
    row = session.execute(_lease_of(table, row_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(f"there is no {_SUBJECTS[table]} {row_id}")
    now = database_now(session)
    alive = row.lease_expires_at is not None and row.lease_expires_at > now
    if alive and row.lease_holder != dead_holder:
        raise LeaseHeld(f"{_SUBJECTS[table]} {row_id}", row.lease_holder, row.lease_expires_at)
    lease = Lease(table, row_id, holder, row.lease_token + 1)
    _set(session, lease, lease_holder=holder, lease_expires_at=now + ttl, lease_token=lease.token)
    return lease


def take_over(session: Session, table: LeasedTable, row_id: int, holder: str, ttl: timedelta, token: int) -> Lease:
    """Take the lease that another process claimed with ``token`` and handed on, once.

    Raises:
        LeaseLost: the row was claimed or taken over since, or it is gone.
    """
    given = Lease(table, row_id, holder, token)
    verify(session, given)
    lease = replace(given, token=token + 1)
    _set(session, lease, lease_holder=holder, lease_expires_at=database_now(session) + ttl, lease_token=lease.token)
    return lease


def renew(session: Session, lease: Lease, ttl: timedelta) -> None:
    """Let ``lease`` run for ``ttl`` from now.

    Raises:
        LeaseLost: another process claimed the row.
    """
    verify(session, lease)
    _set(session, lease, lease_expires_at=database_now(session) + ttl)


def verify(session: Session, lease: Lease) -> None:
    """Check that ``lease`` is still the row's, and keep it so until the transaction ends.

    Raises:
        LeaseLost: another process claimed the row, or the row is gone.
    """
    token = session.connection().scalar(_TOKENS[lease.table], {"of_id": lease.id})
    if token != lease.token:
        raise LeaseLost(f"{lease} was taken over by another process, or deleted; this one stops")


def release(session: Session, lease: Lease) -> None:
    """Give the lease back.

    Raises:
        LeaseLost: another process claimed the row.
    """
    verify(session, lease)
    _set(session, lease, lease_holder=None, lease_expires_at=None)


def lock(session: Session, table: LeasedTable, row_id: int) -> None:
    """Keep the row as it is for others until the transaction ends."""
    session.execute(_lease_of(table, row_id).with_for_update())


def is_held(session: Session, table: LeasedTable, row_id: int) -> bool:
    """Whether a process holds the row's lease now; ``lock`` keeps it so."""
    row = session.execute(_lease_of(table, row_id)).one()
    return row.lease_expires_at is not None and row.lease_expires_at > database_now(session)


def _lease_of(table: LeasedTable, row_id: int) -> Select[str | None, datetime | None, int]:
    return select(table.lease_holder, table.lease_expires_at, table.lease_token).where(table.id == row_id)


def _set(session: Session, lease: Lease, **values: Any) -> None:
    session.execute(update(lease.table).where(lease.table.id == lease.id).values(**values))

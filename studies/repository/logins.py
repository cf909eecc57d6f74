"""Queries on log-in codes and on browsers that are logged in; times are the database's."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from studies.repository.leases import database_now
from studies.tables import LoginCodeRow, WebSessionRow


def add_code(session: Session, digest: str, key_id: int, ttl: timedelta) -> None:
    """Insert a log-in code."""
    session.add(LoginCodeRow(digest=digest, key_id=key_id, expires_at=database_now(session) + ttl))
    session.flush()


def take_code(session: Session, digest: str) -> int | None:
    """Remove a log-in code; the id of its key, unless somebody took the code before or its time is over."""
    taken = delete(LoginCodeRow).where(LoginCodeRow.digest == digest, LoginCodeRow.expires_at > database_now(session))
    return session.scalar(taken.returning(LoginCodeRow.key_id))


def add_session(session: Session, digest: str, key_id: int, ttl: timedelta) -> None:
    """Insert a browser's session."""
    now = database_now(session)
    session.add(WebSessionRow(digest=digest, key_id=key_id, created_at=now, expires_at=now + ttl))
    session.flush()


def find_session(session: Session, digest: str) -> int | None:
    """The id of the key that a browser is logged in with, while its session lasts."""
    now = database_now(session)
    lasting = select(WebSessionRow.key_id).where(WebSessionRow.digest == digest, WebSessionRow.expires_at > now)
    return session.scalar(lasting)


def remove_session(session: Session, digest: str) -> None:
    """Delete a browser's session, if there is one."""
    session.execute(delete(WebSessionRow).where(WebSessionRow.digest == digest))


def remove_expired(session: Session) -> None:
    """Delete the codes and sessions whose time is over."""
    now = database_now(session)
    for table in (LoginCodeRow, WebSessionRow):
        session.execute(delete(table).where(table.expires_at <= now))


def remove_of_key(session: Session, key_id: int) -> None:
    """Delete the codes and sessions of a key."""
    for table in (LoginCodeRow, WebSessionRow):
        session.execute(delete(table).where(table.key_id == key_id))

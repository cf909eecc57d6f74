"""Queries on API keys."""

from datetime import datetime

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from studies.records import Key, Role
from studies.tables import KeyRow


def add(session: Session, owner: str, role: Role, name: str, prefix: str, digest: str, now: datetime) -> Key:
    """Insert a key."""
    row = KeyRow(owner=owner, role=role, name=name, prefix=prefix, digest=digest, created_at=now)
    session.add(row)
    session.flush()
    return _key(row)


def find_valid(session: Session, digest: str) -> Key | None:
    """Find a key by its digest, unless it is revoked."""
    row = session.scalar(_fresh().where(KeyRow.digest == digest, KeyRow.revoked_at.is_(None)))
    return None if row is None else _key(row)


def get_valid(session: Session, key_id: int) -> Key | None:
    """Find a key by its id, unless it is revoked."""
    row = session.scalar(_fresh().where(KeyRow.id == key_id, KeyRow.revoked_at.is_(None)))
    return None if row is None else _key(row)


def page(session: Session, before_id: int | None, size: int) -> list[Key]:
    """List keys of all owners, newest first, ``size`` of them, starting below ``before_id``."""
    statement = _fresh().order_by(KeyRow.id.desc()).limit(size)
    if before_id is not None:
        statement = statement.where(KeyRow.id < before_id)
    return [_key(row) for row in session.scalars(statement)]


def revoke(session: Session, key_id: int, now: datetime) -> bool:
    """Note when a key was revoked, once; whether there is such a key."""
    session.execute(update(KeyRow).where(KeyRow.id == key_id, KeyRow.revoked_at.is_(None)).values(revoked_at=now))
    return session.scalar(select(KeyRow.id).where(KeyRow.id == key_id)) is not None


def set_used(session: Session, key_id: int, now: datetime) -> None:
    """Note when a key was used."""
    session.execute(update(KeyRow).where(KeyRow.id == key_id).values(last_used_at=now))


def _fresh() -> Select[KeyRow]:
    return select(KeyRow).execution_options(populate_existing=True)


def _key(row: KeyRow) -> Key:
    return Key(
        id=row.id,
        owner=row.owner,
        role=row.role,
        name=row.name,
        prefix=row.prefix,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )

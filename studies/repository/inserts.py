"""Inserting rows of which some may be there already."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from studies.tables import Base

_INSERTS: dict[str, Callable[[type[Base]], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose key is not there yet; the others stay as they are."""
    if rows:
        insert = _INSERTS[session.get_bind().dialect.name]
        session.execute(insert(table).on_conflict_do_nothing(), list(rows))


def insert_if_missing(session: Session, table: type[Base], row: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is there; whether it was inserted.

    On PostgreSQL this waits for a transaction that has inserted the same key, until that has ended.
    """
    insert = _INSERTS[session.get_bind().dialect.name]
    keys = inspect(table).primary_key
    inserted = insert(table).values(**row).on_conflict_do_nothing().returning(*keys)
    return session.execute(inserted).one_or_none() is not None

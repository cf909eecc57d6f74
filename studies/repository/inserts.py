"""Inserting rows of which some may be there already."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from studies.tables import Base, table_of

_INSERTS: dict[str, Callable[[Any], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


def insert_missing(session: Session, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose key is not there yet; the others stay as they are."""
    if rows:
        session.connection().execute(_of_missing(session.get_bind().dialect.name, table), list(rows))


@cache
def _of_missing(dialect: str, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    return _INSERTS[dialect](table_of(table)).on_conflict_do_nothing()


def insert_if_missing(session: Session, table: type[Base], row: Mapping[str, Any]) -> bool:
    """Insert a row unless its key is there; whether it was inserted.

    On PostgreSQL this waits for a transaction that has inserted the same key, until that has ended.
    """
    insert = _INSERTS[session.get_bind().dialect.name]
    keys = inspect(table).primary_key
    inserted = insert(table).values(**row).on_conflict_do_nothing().returning(*keys)
    return session.execute(inserted).one_or_none() is not None

"""Database errors that whoever set the database up can mend, each as one line that holds no password."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from studies.errors import DatabaseUnusable


class Fault(NamedTuple):
    """What is wrong with a database, and what to do beside naming another one."""

    reason: str
    remedy: str


UNWRITABLE = Fault("cannot be opened for writing", "make the file and its folder writable")
NO_ROOM = Fault("cannot be written", "make room on its disk")
BUSY = Fault("is locked by another process", "wait for that process")
SQLITE_FAULTS: Mapping[int, Fault] = {
    sqlite3.SQLITE_NOTADB: Fault("is not a SQLite database", "move the file away"),
    sqlite3.SQLITE_CORRUPT: Fault("is damaged", "restore it from a copy"),
    sqlite3.SQLITE_CANTOPEN: UNWRITABLE,
    sqlite3.SQLITE_PERM: UNWRITABLE,
    sqlite3.SQLITE_READONLY: UNWRITABLE,
    sqlite3.SQLITE_FULL: NO_ROOM,
    sqlite3.SQLITE_IOERR: NO_ROOM,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
}
"""By primary result code (sqlite.org/rescode.html)."""
PRIMARY_CODE = 0xFF
"""Bits of an extended result code that hold the primary one."""


@contextmanager
def explained(url: URL, read_only: bool = False) -> Iterator[None]:
    """Raise ``DatabaseUnusable`` where the database at ``url`` fails as a whole; other errors pass.

    Args:
        url: where it is.
        read_only: whether the session was opened to read: that it refuses to write is then no fault of the database.
    """
    try:
        yield
    except DBAPIError as error:
        fault = _fault(error)
        if fault is None or (read_only and fault is UNWRITABLE and error.statement is not None):
            raise
        raise unusable(url, fault, str(error.orig)) from error


def unusable(url: URL, fault: Fault, detail: str) -> DatabaseUnusable:
    """The error to raise for a fault; ``detail`` is what the system said."""
    said = " ".join(detail.split())
    for secret in (url.password, url.query.get("password")):
        said = said.replace(str(secret), "***") if secret else said
    setting = "--home, --database-url or FORMULARY_DATABASE_URL"
    return DatabaseUnusable(
        f"the database {_place(url)} {fault.reason} ({said}); {fault.remedy}, or name another with {setting}"
    )


def _place(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    port = f":{url.port}" if url.port else ""
    return f"on PostgreSQL at {url.host}{port}" if url.host else "on PostgreSQL"


def _fault(error: DBAPIError) -> Fault | None:
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_OK)
        return SQLITE_FAULTS.get(code & PRIMARY_CODE)
    if error.statement is None or error.connection_invalidated:
        return Fault("does not answer", "start it, or correct its address")
    return None

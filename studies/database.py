"""One database, SQLite or PostgreSQL: its connections, its transactions and its schema."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from model.errors import InvalidInput
from studies.database_errors import UNWRITABLE, Fault, explained, unusable
from studies.tables import REVISION

if TYPE_CHECKING:
    from alembic.config import Config

BUSY_TIMEOUT_S = 30.0
"""How long a SQLite writer waits for the one before it (assumed; writes here take milliseconds)."""
MIGRATION_LOCK = 0x466F726D
"""Key of the PostgreSQL advisory lock under which the schema is migrated ("Form" in ASCII)."""
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
READ_ONLY = "formulary_read_only"
UNMIGRATED = Fault("does not have the schema of this version", "run 'formulary migrate'")

__all__ = ["Database", "Session", "migration_config"]


class Database:
    """Connections to one database.

    Args:
        url: ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST/NAME``.

    Raises:
        InvalidInput: ``url`` is neither.
        DatabaseUnusable: the folder of the file cannot be made. Every method raises it too, when the database cannot
            be reached, read or written.
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        serializer = partial(json.dumps, allow_nan=False)
        if self.url.get_backend_name() == "sqlite":
            self.engine = create_engine(self.url, connect_args={"timeout": BUSY_TIMEOUT_S}, json_serializer=serializer)
            _tune_sqlite(self.engine)
        else:
            self.engine = create_engine(self.url, pool_pre_ping=True, json_serializer=serializer)
        self._reader = self.engine.execution_options(**{READ_ONLY: True, "postgresql_readonly": True})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a transaction that may write; it is committed at the end and rolled back on an exception."""
        with explained(self.url), Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read_session(self) -> Iterator[Session]:
        """Open a transaction that only reads: on SQLite it neither waits for a writer nor holds one up."""
        with (
            explained(self.url, read_only=True),
            Session(self._reader, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def check_schema(self) -> None:
        """Check that the database can be read and has the newest schema.

        Raises:
            DatabaseUnusable: it cannot, or has another one.
        """
        with explained(self.url, read_only=True), self._reader.connect() as connection:
            revision = _revision(connection)
        if revision != REVISION:
            raise unusable(self.url, UNMIGRATED, f"its schema is {revision or 'missing'}, not {REVISION}")

    def migrate(self) -> None:
        """Bring the schema to the newest revision. Several processes may call this at once.

        A migration commits its tables and its revision together, so that who reads the newest revision has its tables.
        """
        with explained(self.url):
            with self._reader.connect() as connection:
                if _revision(connection) == REVISION:
                    return
            with self.engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
                _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # a quarter of a second that only a new schema need take
    from alembic.script import ScriptDirectory

    config = migration_config(connection)
    revision = _revision(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        newer = Fault("was made by another version of Formulary", "install that version or a newer one")
        raise unusable(connection.engine.url, newer, f"its schema is {revision}")
    command.upgrade(config, "head")


def migration_config(connection: Connection) -> "Config":
    """Configuration of Alembic for the migrations packaged here, on an open ``connection``."""
    from alembic.config import Config  # as above

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "studies:migrations")
    return config


def _revision(connection: Connection) -> str | None:
    """The revision that the schema has; None before the first migration."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # not an address, or a port that is no number
        parsed = None
    driver = DRIVERS.get(parsed.drivername.split("+")[0]) if parsed is not None else None
    if parsed is None or driver is None:
        raise InvalidInput(
            "database_url",
            "this is neither a SQLite nor a PostgreSQL address",
            "write sqlite:////PATH/FILE.db or postgresql://USER:PASSWORD@HOST/NAME",
        )
    if "@" in (parsed.host or ""):
        raise InvalidInput("database_url", "the password holds an @", "write it as %40")
    if driver == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InvalidInput("database_url", "a SQLite database in memory is lost with its process", "name a file")
    return parsed.set(drivername=driver)


def _tune_sqlite(engine: Engine) -> None:
    """Give SQLite write-ahead logging, foreign keys, and transactions that start where SQLAlchemy starts them."""
    try:
        Path(str(engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(engine.url, UNWRITABLE, f"{error.filename}: {error.strerror}") from error

    @event.listens_for(engine, "connect")
    def _connect(connection: SQLiteConnection, _record: Any) -> None:
        connection.isolation_level = None  # otherwise the driver would begin transactions of its own
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut, for 1 ms a trial (measured)
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql(f"PRAGMA query_only = {int(read_only)}")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

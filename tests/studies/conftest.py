"""Every database test here runs on SQLite and on PostgreSQL."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pgserver.postgres_server import get_server
from sqlalchemy import text

from studies.database import Database


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # Not below the home: the embedded server opens the permissions of its parent folders when run by root.
    with tempfile.TemporaryDirectory(prefix="formulary-postgres-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/formulary.db"
    url: str = request.getfixturevalue("postgres_url")
    with Database(url) as database, database.session() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    return url


@pytest.fixture
def empty_database(empty_url: str) -> Iterator[Database]:
    with Database(empty_url) as database:
        yield database


@pytest.fixture
def database(empty_database: Database) -> Database:
    empty_database.migrate()
    return empty_database

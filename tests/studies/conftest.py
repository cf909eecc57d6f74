"""Every database test here runs on SQLite and on PostgreSQL."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pgserver.postgres_server import get_server
from sqlalchemy import text

from studies.database import Database


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # Not below the home: the embedded server opens the permissions of its parent folders when run by root.
    with tempfile.TemporaryDirectory(prefix="formulary-postgres-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        server.psql("ALTER SYSTEM SET fsync TO off; SELECT pg_reload_conf();")  # nothing here outlives a power cut
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


@pytest.fixture
def roots(tmp_path: Path) -> list[Path]:
    """A folder with a corpus that is quickly read."""
    folder = tmp_path / "corpora"
    folder.mkdir()
    lines = (f"Line {number} of a text that is just long enough, {number**3}.\n" for number in range(2000))
    (folder / "text.txt").write_text("".join(lines), encoding="utf-8")
    return [folder]


@pytest.fixture
def document() -> dict[str, Any]:
    """The spec of a study with six trials: three depths, two rates each."""
    return {
        "version": 1,
        "name": "small study",
        "space": {"depth": {"type": "int", "low": 1, "high": 3}},
        "inner": {"learning_rate": [1e-3, 2e-3]},
        "sampler": {"kind": "grid"},
        "proxy": {"corpus": {"kind": "text", "path": "text.txt"}, "train_tokens": 1000, "validation_bytes": 1000},
        "max_trial_count": 6,
    }

"""A database that cannot be used is one line: which one, what is wrong, what to do; never a password."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from model.errors import InvalidInput
from studies.database import Database
from studies.errors import DatabaseUnusable

SETTING = "name another with --home, --database-url or FORMULARY_DATABASE_URL"
PASSWORD = "s3cr3t"


def _refusal(url: str, use: Callable[[Database], None] = Database.migrate) -> str:
    with pytest.raises(DatabaseUnusable) as refusal, Database(url) as database:
        use(database)
    message = str(refusal.value)
    assert "\n" not in message
    assert SETTING in message
    return message


def _closed_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _read(database: Database) -> None:
    with database.read_session() as session:
        session.execute(text("SELECT 1"))


def _write(database: Database) -> None:
    with database.session() as session:
        session.execute(text("CREATE TABLE written (value INTEGER)"))


@pytest.mark.parametrize("use", [Database.migrate, _read, _write])
@pytest.mark.parametrize("user", [f"ada:{PASSWORD}@", "ada@"])
def test_a_postgresql_that_does_not_answer(use: Callable[[Database], None], user: str) -> None:
    port = _closed_port()
    message = _refusal(f"postgresql://{user}127.0.0.1:{port}/studies?password={PASSWORD}", use)
    assert message.startswith(f"the database on PostgreSQL at 127.0.0.1:{port} does not answer (")
    assert "start it, or correct its address" in message
    assert PASSWORD not in message


def test_a_password_that_the_driver_repeats_is_struck_out() -> None:
    message = _refusal(f"postgresql://ada:{PASSWORD}@127.0.0.1:{_closed_port()}/studies?sslmode={PASSWORD}")
    assert "sslmode" in message
    assert PASSWORD not in message


@pytest.mark.parametrize(
    "url", [f"postgresql://ada:x@{PASSWORD}@host/name", f"postgresql://ada:x@host:{PASSWORD}/name"]
)
def test_an_address_whose_password_cannot_be_told_apart_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"^database_url: ") as refusal:
        Database(url)
    assert PASSWORD not in str(refusal.value)


@pytest.mark.parametrize("use", [Database.migrate, _read, _write])
def test_a_file_that_is_not_a_database(use: Callable[[Database], None], tmp_path: Path) -> None:
    path = tmp_path / "formulary.db"
    path.write_bytes(b"no database at all " * 100)
    message = _refusal(f"sqlite:///{path}", use)
    assert message.startswith(f"the database {path} is not a SQLite database (")


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "formulary.db"
    with Database(f"sqlite:///{path}") as database:
        database.migrate()
    content = bytearray(path.read_bytes())
    content[200:] = b"\xff" * (len(content) - 200)
    path.write_bytes(content)
    assert f"the database {path} is damaged (" in _refusal(f"sqlite:///{path}")


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    assert "cannot be opened for writing" in _refusal(f"sqlite:///{tmp_path}")


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file")
    message = _refusal(f"sqlite:///{home}/formulary.db")
    assert f"the database {home}/formulary.db cannot be opened for writing" in message
    assert "make the file and its folder writable" in message


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that nobody can write to, not even root")
def test_a_home_that_cannot_be_made() -> None:
    assert "cannot be opened for writing" in _refusal("sqlite:////proc/formulary/formulary.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any file")
def test_a_file_that_can_only_be_read(tmp_path: Path) -> None:
    path = tmp_path / "formulary.db"
    with Database(f"sqlite:///{path}") as database:
        database.migrate()
    path.chmod(0o400)
    assert "cannot be opened for writing (attempt to write a readonly database)" in _refusal(
        f"sqlite:///{path}", _write
    )


def test_a_full_disk(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/formulary.db") as database:
        database.migrate()

    def fill(database: Database) -> None:
        with database.session() as session:
            session.execute(text("PRAGMA max_page_count = 1"))  # becomes the present size: not a page more
            session.execute(text("CREATE TABLE further (value INTEGER)"))

    assert "cannot be written (database or disk is full); make room" in _refusal(
        f"sqlite:///{tmp_path}/formulary.db", fill
    )


def test_a_database_made_by_a_newer_version(empty_url: str) -> None:
    with Database(empty_url) as database:
        database.migrate()
        with database.session() as session:
            session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    message = _refusal(Database(empty_url).url.render_as_string(hide_password=False))
    assert "was made by another version of Formulary (its schema is 9999)" in message
    assert "install that version or a newer one" in message

"""Transactions commit whole or not at all, and readers only read."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from studies.database import Database
from studies.tables import OwnerRow, StudyRow

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))


def test_a_session_commits_at_its_end(database: Database) -> None:
    with database.session() as session:
        session.add(OwnerRow(name="ada", created_at=NOW))
    with database.read_session() as session:
        assert session.scalars(select(OwnerRow.name)).all() == ["ada"]


def test_an_exception_rolls_back(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.session() as session:  # noqa: PT012
        session.add(OwnerRow(name="ada", created_at=NOW))
        session.flush()
        raise ZeroDivisionError
    with database.read_session() as session:
        assert session.scalars(select(OwnerRow.name)).all() == []


def test_a_read_session_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError), database.read_session() as session:
        session.execute(text("DELETE FROM owners"))
    with database.session() as session:
        session.add(OwnerRow(name="ada", created_at=NOW))


def test_times_come_back_aware_in_utc(database: Database) -> None:
    with database.session() as session:
        session.add(OwnerRow(name="ada", created_at=NOW))
    with database.read_session() as session:
        stored = session.scalars(select(OwnerRow.created_at)).one()
    assert stored == NOW
    assert stored.tzinfo is UTC


def test_a_time_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="no timezone"), database.session() as session:
        session.add(OwnerRow(name="ada", created_at=datetime(2026, 1, 1)))


def test_foreign_keys_hold(database: Database) -> None:
    study = {"name": "s", "state": "QUEUED", "spec": {}, "digest": "", "created_at": NOW}
    with pytest.raises(IntegrityError), database.session() as session:
        session.add(StudyRow(owner="nobody", **study))


def test_json_keeps_its_order_and_refuses_nan(database: Database) -> None:
    document = {"b": 1, "a": [1.5, None, "ü"]}
    study = {"owner": "ada", "name": "s", "state": "QUEUED", "digest": "", "created_at": NOW}
    with database.session() as session:
        session.add(OwnerRow(name="ada", created_at=NOW))
        session.add(StudyRow(spec=document, **study))
    with database.read_session() as session:
        assert list(session.scalars(select(StudyRow.spec)).one().items()) == list(document.items())
    with pytest.raises((StatementError, ValueError), match="Out of range float"), database.session() as session:
        session.add(StudyRow(spec={"a": float("nan")}, **study))


def test_writers_wait_for_each_other(database: Database) -> None:
    """Read, add one, write: without a lock taken before reading, updates would be lost or refused on SQLite."""
    with database.session() as session:
        session.execute(text("CREATE TABLE counter (value INTEGER)"))
        session.execute(text("INSERT INTO counter VALUES (0)"))
    lock = "" if database.url.get_backend_name() == "sqlite" else " FOR UPDATE"

    def count_up() -> None:
        for _ in range(20):
            with database.session() as session:
                value = session.execute(text(f"SELECT value FROM counter{lock}")).scalar_one()
                session.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read_session() as session:
        assert session.execute(text("SELECT value FROM counter")).scalar_one() == 80


def test_a_reader_on_sqlite_does_not_wait_for_a_writer(tmp_path: object) -> None:
    with Database(f"sqlite:///{tmp_path}/formulary.db") as database:
        database.migrate()
        with database.session() as writer:
            writer.add(OwnerRow(name="ada", created_at=NOW))
            writer.flush()
            with database.read_session() as reader:
                assert reader.scalars(select(OwnerRow.name)).all() == []

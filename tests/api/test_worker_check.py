"""``formulary worker --check``: what a container asks to know whether its worker lives."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from api.settings import load_settings
from studies.database import Database
from studies.process_identity import this_process
from studies.repository import workers


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(load_settings(tmp_path, environment={}).database_url)
    database.migrate()
    return database


def check(home: Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["worker", "--check", "--home", str(home)])
    return result.exit_code, result.stderr


def test_a_worker_of_this_machine_lives(database: Database, tmp_path: Path) -> None:
    with database.session() as session:
        workers.say_alive(session, this_process(), None)
    assert check(tmp_path) == (0, "")


def test_workers_of_other_machines_do_not_count(database: Database, tmp_path: Path) -> None:
    elsewhere = ":".join([*this_process().split(":")[:3], "pid:[1]", "another-boot"])
    with database.session() as session:
        workers.say_alive(session, elsewhere, None)
    assert check(tmp_path) == (1, "error: no worker of this machine gives signs of life\n")

"""Operations wait in line for a worker, and outlive those that execute them."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from studies import service
from studies.database import Database
from studies.process_identity import process, this_process
from studies.records import Operation, OperationState, Study
from studies.repository import leases, operations
from studies.tables import OperationRow
from studies.workers import operations as executor
from studies.workers.operation_queue import execute_next
from studies.workers.operations import MAX_TRIES

HOUR = timedelta(hours=1)


@pytest.fixture
def study(database: Database, document: dict[str, Any], roots: list[Path]) -> Study:
    with database.session() as session:
        return service.create_study(session, "ada", document, roots)


@pytest.fixture
def add(database: Database, study: Study) -> Callable[[], Operation]:
    def add() -> Operation:
        with database.session() as session:
            return operations.add(session, study.id, "export", {}, study.created_at)

    return add


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of the operations that were executed, in order."""
    ids: list[int] = []

    def execute(_: Database, operation: Operation, __: Path) -> dict[str, Any]:
        ids.append(operation.id)
        return {}

    monkeypatch.setattr(executor, "EXECUTORS", {"export": execute})
    return ids


def state_of(database: Database, operation: Operation) -> tuple[OperationState, str | None]:
    with database.read_session() as session:
        found = operations.get(session, operation.id)
    assert found is not None
    return found.state, found.error


def held_by(database: Database, operation: Operation, holder: str) -> None:
    with database.session() as session:
        leases.claim(session, OperationRow, operation.id, holder, HOUR, holder)
        operations.set_state(session, operation.id, OperationState.RUNNING)


def dead_process() -> str:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        return process(child.pid)


def test_the_oldest_is_executed_first_and_each_once(
    database: Database, add: Callable[[], Operation], executed: list[int], tmp_path: Path
) -> None:
    first, second = add(), add()
    assert [execute_next(database, tmp_path) for _ in range(3)] == [True, True, False]
    assert executed == [first.id, second.id]


def test_what_another_process_executes_is_left_to_it(
    database: Database, add: Callable[[], Operation], executed: list[int], tmp_path: Path
) -> None:
    busy, waiting = add(), add()
    held_by(database, busy, this_process())
    assert [execute_next(database, tmp_path) for _ in range(2)] == [True, False]
    assert executed == [waiting.id]


def test_what_a_killed_process_executed_is_executed_again_at_once(
    database: Database, add: Callable[[], Operation], executed: list[int], tmp_path: Path
) -> None:
    operation = add()
    held_by(database, operation, dead_process())
    assert execute_next(database, tmp_path)
    assert executed == [operation.id]
    assert state_of(database, operation) == (OperationState.SUCCEEDED, None)


def test_what_kills_its_executors_is_given_up(
    database: Database, add: Callable[[], Operation], executed: list[int], tmp_path: Path
) -> None:
    operation, dead = add(), dead_process()
    for _ in range(MAX_TRIES):
        held_by(database, operation, dead)
    assert execute_next(database, tmp_path)
    assert executed == []
    assert state_of(database, operation) == (
        OperationState.FAILED,
        f"{MAX_TRIES} processes ended while they executed it",
    )


def test_an_error_of_ours_stops_neither_the_line_nor_the_worker(
    database: Database, add: Callable[[], Operation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> dict[str, Any]:
        raise RuntimeError("a defect")

    monkeypatch.setattr(executor, "EXECUTORS", {"export": fail})
    operation = add()
    assert [execute_next(database, tmp_path) for _ in range(2)] == [True, False]
    assert state_of(database, operation)[0] is OperationState.FAILED

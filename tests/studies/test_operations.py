"""Operations are executed once, and their row holds the result or what the user is told."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from studies import service
from studies.database import Database
from studies.digest import document_digest
from studies.errors import Conflict, LeaseHeld, LeaseLost, NotFound
from studies.exports import EXPORTERS, ExportManifest, SmokeTest, SmokeTestFailed, write_export
from studies.exports import write as writing
from studies.records import Export, Operation, OperationState, Study, Trial, TrialState
from studies.repository import leases, operations, trials
from studies.tables import OperationRow
from studies.workers import operations as executor
from studies.workers.operations import execute_operation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ATTRIBUTES = {"ffn_width": 64, "kv_heads": 4, "heads": 4}


@pytest.fixture
def study(database: Database, document: dict[str, Any], roots: list[Path]) -> Study:
    document["proxy"] |= {"vocabulary_size": 300, "train_tokens": 2048, "sequence_length": 64, "batch_tokens": 256}
    parameters = {"depth": 1, "learning_rate": 1e-3}
    trial = Trial(0, TrialState.COMPLETE, parameters, {"bits_per_byte": 2.0}, ATTRIBUTES, None, 1, NOW, NOW)
    with database.session() as session:
        study = service.create_study(session, "ada", document, roots)
        trials.add_many(session, study.id, [trial])
    return study


@pytest.fixture
def asked(database: Database, study: Study) -> tuple[Operation, Export]:
    with database.session() as session:
        return service.request_export(
            session, "ada", study.id, service.ExportRequest(format="formulary"), service.Places(Path(), ())
        )


def stored(database: Database, operation: Operation) -> Operation:
    with database.read_session() as session:
        return service.get_operation(session, "ada", operation.id)


def test_an_export_is_written_below_the_storage(
    database: Database, study: Study, asked: tuple[Operation, Export], tmp_path: Path
) -> None:
    operation, export = asked
    leftover = tmp_path / "exports" / str(export.id) / "half-written"
    leftover.mkdir(parents=True)
    ended = execute_operation(database, operation.id, tmp_path)
    assert ended == stored(database, operation)
    assert (ended.state, ended.error) == (OperationState.SUCCEEDED, None)
    assert ended.finished_at is not None
    with database.read_session() as session:
        written = service.get_export(session, "ada", study.id, export.id)
    assert written.state is OperationState.SUCCEEDED
    assert written.folder == f"exports/{export.id}"
    assert not leftover.exists()
    document = json.loads((tmp_path / written.folder / "formulary.json").read_text(encoding="utf-8"))
    assert document["pretrain"]["architecture"]["depth"] == 1
    assert document["provenance"]["trials"] == [0]
    assert document["provenance"]["spec_digest"] == document_digest(study.spec)
    assert ended.result is not None
    assert ended.result["export_id"] == export.id
    assert "formulary.json" in {file["name"] for file in ended.result["files"]}
    assert written.result == ended.result
    assert ended.result["smoke_test"]["method"] == "training"


def test_an_export_that_fails_its_smoke_test_is_not_offered(
    database: Database, study: Study, asked: tuple[Operation, Export], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def smoke(*_: object) -> SmokeTest:
        raise SmokeTestFailed("formulary", "its losses are not finite")

    broken = replace(EXPORTERS["formulary"], smoke=smoke)
    monkeypatch.setattr(writing, "EXPORTERS", {**EXPORTERS, "formulary": broken})
    operation, export = asked
    ended = execute_operation(database, operation.id, tmp_path)
    assert ended.state is OperationState.FAILED
    assert ended.error is not None
    assert ended.error.startswith("the formulary export failed its smoke test and was removed: its losses are not")
    with database.read_session() as session:
        assert service.get_export(session, "ada", study.id, export.id).folder is None
    assert not list((tmp_path / "exports").iterdir())


def _half_written(storage: Path, export_id: int) -> Path:
    folder = storage / "exports" / f".{export_id}.0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "formulary.json").write_text("half of")
    return folder


def test_the_next_export_removes_what_killed_executors_left(
    database: Database, study: Study, asked: tuple[Operation, Export], tmp_path: Path
) -> None:
    with database.session() as session:
        request = service.ExportRequest(format="formulary")
        others = [
            service.request_export(session, "ada", study.id, request, service.Places(Path(), ())) for _ in range(2)
        ]
        leases.claim(session, OperationRow, others[0][0].id, "other:1:0:m", timedelta(hours=1))
        dead = leases.claim(session, OperationRow, others[1][0].id, "other:2:0:m", timedelta(hours=1))
        leases.renew(session, dead, timedelta(0))
    live, killed = (_half_written(tmp_path, export.id) for _, export in others)
    own, deleted = _half_written(tmp_path, asked[1].id), _half_written(tmp_path, 999)
    foreign = tmp_path / "exports" / ".notes.txt"
    foreign.write_text("kept")
    assert execute_operation(database, asked[0].id, tmp_path).state is OperationState.SUCCEEDED
    assert [path.exists() for path in (live, foreign, own, killed, deleted)] == [True, True, False, False, False]


def test_an_export_whose_study_is_deleted_meanwhile_leaves_nothing(
    database: Database, study: Study, asked: tuple[Operation, Export], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete_then_write(*arguments: Any) -> ExportManifest:
        with database.session() as session:
            service.delete_study(session, "ada", study.id)
        return write_export(*arguments)

    monkeypatch.setattr(executor, "write_export", delete_then_write)
    with pytest.raises(LeaseLost):
        execute_operation(database, asked[0].id, tmp_path)
    assert list((tmp_path / "exports").iterdir()) == []


def test_an_error_of_the_users_is_kept_for_them(
    database: Database, asked: tuple[Operation, Export], roots: list[Path], tmp_path: Path
) -> None:
    (roots[0] / "text.txt").unlink()
    ended = execute_operation(database, asked[0].id, tmp_path)
    assert ended.state is OperationState.FAILED
    assert ended.error is not None
    assert "text.txt" in ended.error
    assert stored(database, asked[0]) == ended


def test_an_error_of_ours_is_noted_and_raised(
    database: Database, asked: tuple[Operation, Export], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(database: Database, operation: Operation, storage: Path) -> Mapping[str, Any]:
        raise RuntimeError("a secret path")

    monkeypatch.setattr(executor, "EXECUTORS", {"export": fail})
    with pytest.raises(RuntimeError):
        execute_operation(database, asked[0].id, tmp_path)
    ended = stored(database, asked[0])
    assert (ended.state, ended.error) == (OperationState.FAILED, "RuntimeError inside Formulary; see its log")


def test_an_operation_is_executed_once(
    database: Database, asked: tuple[Operation, Export], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "EXECUTORS", {"export": lambda *_: {"done": True}})
    assert execute_operation(database, asked[0].id, tmp_path).result == {"done": True}
    with pytest.raises(Conflict, match="is SUCCEEDED"):
        execute_operation(database, asked[0].id, tmp_path)
    with pytest.raises(NotFound):
        execute_operation(database, asked[0].id + 1, tmp_path)


def test_an_operation_whose_executor_died_is_executed_again(
    database: Database, asked: tuple[Operation, Export], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "EXECUTORS", {"export": lambda *_: {}})
    operation, _ = asked
    with database.session() as session:
        lease = leases.claim(session, OperationRow, operation.id, "other:1:0:m", timedelta(hours=1))
        operations.set_state(session, operation.id, OperationState.RUNNING)
    with pytest.raises(LeaseHeld, match=f"operation {operation.id}"):
        execute_operation(database, operation.id, tmp_path)
    with database.session() as session:
        leases.renew(session, lease, timedelta(0))
    assert execute_operation(database, operation.id, tmp_path).state is OperationState.SUCCEEDED

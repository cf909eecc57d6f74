"""A validation that is really trained, from a study that was, to its verdict and what an export says of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from studies import service
from studies.database import Database
from studies.records import StudyState, TrialState
from studies.repository import trials
from studies.runner import run_study
from studies.validation.request import ValidationRequest
from studies.workers.operations import execute_operation

pytestmark = pytest.mark.chaos

SIZES = (16_000, 24_000, 36_000)
SPEC: dict[str, Any] = {
    "name": "tiny",
    "inner": {"learning_rate": [1e-2, 3e-2]},
    "proxy": {
        "corpus": {"kind": "text", "path": "text.txt"},
        "train_tokens": 4096,
        "depth": 2,
        "width": 16,
        "vocabulary_size": 300,
        "sequence_length": 32,
        "head_dim": 8,
        "batch_tokens": 256,
        "validation_bytes": 1500,
        "evaluations": 1,
        "precision": "float32",
    },
    "max_trial_count": 2,
    "resources_per_trial": {"stack": 3},
}


@pytest.fixture(autouse=True)
def _ray() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")
    yield
    ray.shutdown()


@pytest.fixture
def one_database(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/formulary.db") as database:
        database.migrate()
        yield database


def test_from_a_study_to_a_verdict_and_an_export(one_database: Database, roots: list[Path], tmp_path: Path) -> None:
    with one_database.session() as session:
        study = service.create_study(session, "ada", SPEC, roots)
    run_study(one_database, study.id, tmp_path)
    request = ValidationRequest(sizes=SIZES, tokens_per_parameter=0.15)
    with one_database.read_session() as session:
        prepared = service.prepare_validation(session, "ada", study.id, request, service.Places(Path(), roots))
    with one_database.session() as session:
        validation = service.add_validation(session, "ada", prepared)
    for rung in validation.rungs:
        assert rung is not None
        assert run_study(one_database, rung, tmp_path).state is StudyState.COMPLETED
    with one_database.read_session() as session:
        judged = service.get_validation(session, "ada", study.id, validation.id)
        for rung, planned in zip(validation.rungs, judged.plan.rungs, strict=True):
            _check_runs(trials.page(session, rung or 0, None, None), planned)
    assert judged.state == "ended"
    assert judged.judgement.verdict in {"passed", "failed", "undecided"}
    assert all(rung.regret is not None for rung in judged.judgement.rungs)
    assert judged.judgement.noise is not None
    assert judged.judgement.noise > 0
    said = _export(one_database, study.id, tmp_path)
    assert said["verdict"] == judged.judgement.verdict
    assert said["validated_parameters"] == judged.plan.rungs[-1].total_parameters
    assert said["extrapolation"]["total_parameters"] == pytest.approx(72_000 / 36_000, rel=0.1)


def _check_runs(stored: list[Any], planned: Any) -> None:
    """Every run has the size, the length and a seed that were planned, and none is like another."""
    points = len({candidate.point for candidate in planned.candidates})
    assert [trial.state for trial in stored] == [TrialState.COMPLETE] * points * len(planned.seeds)
    for trial in stored:
        assert trial.metrics["total_parameters"] == pytest.approx(planned.total_parameters, rel=0.03)
        assert trial.metrics["train_tokens"] == pytest.approx(planned.tokens, rel=0.1)
        assert trial.parameters["seed"] in planned.seeds
    recipe = planned.candidates[0]
    for trial in stored[: len(planned.seeds)]:
        assert (trial.parameters["learning_rate"], trial.attributes["ffn_width"]) == (
            recipe.learning_rate,
            recipe.ffn_width,
        )
    assert sum(trial.metrics["train_flops"] for trial in stored) == pytest.approx(planned.train_flops, rel=0.01)
    assert len({trial.metrics["bits_per_byte"] for trial in stored}) == len(stored)


def _export(database: Database, study_id: int, storage: Path) -> Any:
    request = service.ExportRequest(format="formulary", total_parameters=72_000, tokens=10_000)
    with database.session() as session:
        operation, export = service.request_export(session, "ada", study_id, request, service.Places(Path(), ()))
    execute_operation(database, operation.id, storage)
    with database.read_session() as session:
        folder = service.get_export(session, "ada", study_id, export.id).folder
    assert folder is not None
    page = (storage / folder / "README.md").read_text(encoding="utf-8")
    said = json.loads((storage / folder / "formulary.json").read_text(encoding="utf-8"))["provenance"]["validation"]
    assert "## What was validated" in page
    assert all(" ".join(line.split()) in page for line in said["words"])
    return said

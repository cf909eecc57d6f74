"""A real study whose inner points are trained as one program: its rows are those of the same study trial by trial."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from studies import service
from studies.database import Database
from studies.records import IntermediateValue, StudyState, Trial, TrialState
from studies.repository import trials
from studies.runner import run_study

pytestmark = pytest.mark.chaos

ALIKE = ("steps", "warmup_tokens", "init_std", "unique_tokens", "repeated_tokens", "precision", "attention_backend")
"""Attributes that do not tell how a trial was trained."""


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


def spec(stack: int) -> dict[str, Any]:
    """Three rates and two seeds of one small network."""
    corpus = {"kind": "text", "path": "text.txt"}
    shape = {"depth": 2, "width": 32, "head_dim": 16, "vocabulary_size": 300, "sequence_length": 32}
    return {
        "name": f"stack of {stack}",
        "inner": {"learning_rate": [1e-3, 3e-3, 1e-2], "seed": [0, 1]},
        "proxy": {
            "corpus": corpus,
            **shape,
            "train_tokens": 8192,
            "batch_tokens": 256,
            "evaluations": 3,
            "precision": "float32",
            "validation_bytes": 2000,
        },
        "max_trial_count": 6,
        "resources_per_trial": {"stack": stack},
    }


def run(database: Database, document: dict[str, Any], roots: list[Path], storage: Path) -> int:
    with database.session() as session:
        study_id = service.create_study(session, "ada", document, roots).id
    assert run_study(database, study_id, storage).state is StudyState.COMPLETED
    return study_id


def rows(database: Database, study_id: int) -> list[tuple[Trial, list[IntermediateValue]]]:
    with database.read_session() as session:
        stored = trials.page(session, study_id, None, None)
        return [(trial, service.list_intermediate_values(session, "ada", study_id, trial.number)) for trial in stored]


def test_a_stacked_study_ends_as_the_same_study_trial_by_trial(
    one_database: Database, roots: list[Path], tmp_path: Path
) -> None:
    stacked, single = (
        rows(one_database, run(one_database, spec(stack), roots, tmp_path / "storage")) for stack in (6, 1)
    )
    assert [trial.state for trial, _ in stacked] == [TrialState.COMPLETE] * 6
    assert {trial.attributes["stack"] for trial, _ in stacked} == {6}
    assert {trial.attributes["stack"] for trial, _ in single} == {1}
    assert len({round(trial.metrics["bits_per_byte"], 6) for trial, _ in stacked}) == 6
    for (ours, our_values), (theirs, their_values) in zip(stacked, single, strict=True):
        assert (ours.number, ours.parameters, ours.attempts) == (theirs.number, theirs.parameters, 1)
        measured = {name: value for name, value in theirs.metrics.items() if not name.endswith("_per_second")}
        assert {name: ours.metrics[name] for name in measured} == pytest.approx(measured, rel=1e-4)
        assert [(value.step, value.metric) for value in our_values] == [
            (value.step, value.metric) for value in their_values
        ]
        assert [value.value for value in our_values] == pytest.approx([v.value for v in their_values], rel=1e-4)
        assert [ours.attributes[name] for name in ALIKE] == [theirs.attributes[name] for name in ALIKE]
        assert ours.started_at is not None
        assert ours.finished_at is not None
        assert ours.started_at < ours.finished_at

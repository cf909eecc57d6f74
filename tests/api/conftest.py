"""An application on a home of its own, and a table of runs to import into it."""

import argparse
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.settings import Settings, load_settings
from api.transport.in_process import InProcessTransport
from search.plan import Plan
from search.problem import PlannedTrial
from studies import service
from studies.database import Database
from studies.records import StudyState, Trial, TrialState
from studies.repository import studies, trials
from studies.spec import search_problem
from studies.specs.parsing import parse_spec
from studies.specs.yaml import load_spec_yaml

COLUMNS = (
    "depth,width,ffn_ratio,vocabulary_size,batch_tokens,learning_rate,"
    "bits_per_byte,total_parameters,train_tokens,machine"
)


def runs_table() -> bytes:
    """Runs on a known law: best rate 0.002·(B/1024)^0.5, and a U over depth with its bottom at 4."""
    rows = [COLUMNS]
    for depth in (2, 4, 8):
        for batch in (1024, 2048, 4096, 8192):
            for rate in (0.001, 0.002, 0.004, 0.008):
                best = 0.002 * (batch / 1024) ** 0.5
                loss = 2.5 + 0.05 * math.log(rate / best) ** 2 + 0.04 * math.log2(depth / 4) ** 2
                rows.append(f"{depth},64,2.0,512,{batch},{rate},{loss:.6f},300000,1000000,box")
    return ("\n".join(rows) + "\n").encode()


@pytest.fixture
def table() -> bytes:
    return runs_table()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", environment={})


@pytest.fixture
def app(settings: Settings) -> Iterator[FastAPI]:
    app = create_app(settings, trusted=True)
    with app.state.database as database:
        database.migrate()
        yield app


@pytest.fixture
def http(app: FastAPI) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcessTransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture
def study(http: httpx.Client, table: bytes) -> int:
    """The id of an imported study of 48 trials."""
    answer = http.post(
        "/v1/studies:import",
        params={"name": "sweep", "objective": "bits_per_byte"},
        content=table,
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


SPEC = """\
name: planted
space:
  depth: {type: categorical, choices: [1, 2, 4]}
inner: {learning_rate: [1e-3, 2e-3, 4e-3]}
sampler: {kind: grid}
proxy: {corpus: {kind: text, path: words.txt}, train_bytes: 30_000, validation_bytes: 20_000, vocabulary_size: 300,
        sequence_length: 64, width: 32, head_dim: 16, batch_tokens: 512}
max_trial_count: 9
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    write_corpus(tmp_path)
    return path


def write_corpus(folder: Path) -> None:
    """Some 100 KB of real text, which a tokenizer is trained on in a moment."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text(Path(argparse.__file__).read_text(encoding="utf-8"), encoding="utf-8")


FAILED = 8


def plant_trials(database: Database, study_id: int) -> None:
    """Store the trials of ``SPEC`` as if they had been run: a U over the rate, and one that diverged."""
    now = datetime.now(UTC)
    with database.session() as session:
        study_spec = parse_spec(service.get_study(session, "local", study_id).spec)
        plan = Plan(search_problem(study_spec, f"study-{study_id}", Path()), [])
        planned = [trial for group in iter(plan.start_next, ()) for trial in group]
        trials.add_many(session, study_id, [_ended(trial, trial.number == FAILED, now) for trial in planned])
        studies.set_state(session, study_id, StudyState.COMPLETED, started_at=now, finished_at=now)
        service.fit_and_store(session, study_id)


def _ended(trial: PlannedTrial, failed: bool, now: datetime) -> Trial:
    loss = 3 + math.log2(float(trial.parameters["learning_rate"]) / 2e-3) ** 2 + float(trial.parameters["depth"]) / 100
    return Trial(
        number=trial.number,
        state=TrialState.FAIL if failed else TrialState.COMPLETE,
        parameters=trial.parameters,
        metrics={} if failed else {"bits_per_byte": loss},
        attributes=trial.attributes,
        reason="the loss is not finite" if failed else None,
        attempts=1,
        started_at=now,
        finished_at=now,
    )


@pytest.fixture
def plant() -> Callable[[Database, int], None]:
    return plant_trials


@pytest.fixture
def planted(app: FastAPI, http: httpx.Client, settings: Settings) -> int:
    """The id of a finished study of nine trials whose configs can be exported."""
    write_corpus(settings.home / "corpora")
    study_id = int(http.post("/v1/studies", json=load_spec_yaml(SPEC)).json()["id"])
    plant_trials(app.state.database, study_id)
    return study_id

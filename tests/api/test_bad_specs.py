"""Every spec that the parser refuses is refused over HTTP, by field and remedy, and nothing is stored or started."""

import copy
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI
from sqlalchemy import text

from api.settings import Settings

BAD_SPECS = yaml.safe_load((Path(__file__).parents[1] / "bad_specs.yaml").read_text(encoding="utf-8"))
SPEC = {
    "version": 1,
    "name": "depth-against-width",
    "purpose": "estimate",
    "space": {
        "depth": {"type": "int", "low": 2, "high": 16},
        "vocabulary_size": {"type": "categorical", "choices": [512, 1024, 2048]},
        "ffn_ratio": {"type": "float", "low": 1.0, "high": 4.0},
        "batch_tokens": {"type": "categorical", "choices": [1024, 2048, 4096]},
    },
    "inner": {"learning_rate": [1e-3, 2e-3, 4e-3], "seed": [0]},
    "constraints": {"total_parameters": {"target": 1_000_000, "tolerance": 0.03, "solve_for": "width"}},
    "objectives": [{"metric": "bits_per_byte", "direction": "minimize"}],
    "sampler": {"kind": "qmc", "seed": 0},
    "scheduler": {"kind": "none"},
    "proxy": {"corpus": {"kind": "builtin"}, "train_bytes": 1e6, "sequence_length": 256},
    "max_trial_count": 24,
    "parallel_trial_count": 2,
    "resources_per_trial": {"cpu": 1, "gpu": 0},
}
TABLES = ("owners", "studies", "trials", "operations", "idempotent_answers")


def changed(path: str, change: dict[str, Any]) -> dict[str, Any]:
    """``SPEC`` with the value at a dotted path, or without it."""
    document: Any = copy.deepcopy(SPEC)
    here, (*parents, last) = document, path.split(".")
    for part in parents:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    key: Any = int(last) if isinstance(here, list) else last
    if "value" in change:
        here[key] = change["value"]
    else:
        del here[key]
    return dict(document)


def post(http: httpx.Client, document: object) -> httpx.Response:
    """POST a document as JSON, numbers that JSON lacks included."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": "bad"}
    return http.post("/v1/studies", content=json.dumps(document), headers=headers)


@pytest.fixture
def nothing_stored(app: FastAPI, settings: Settings) -> Any:
    """Check that neither a row nor a file was made."""

    def check() -> None:
        with app.state.database.read_session() as session:
            counts = {table: session.scalar(text(f"SELECT count(*) FROM {table}")) for table in TABLES}
        assert counts == dict.fromkeys(TABLES, 0)
        assert not settings.storage.exists()

    return check


def test_the_spec_that_is_changed_is_good(http: httpx.Client) -> None:
    assert post(http, SPEC).status_code == 201


@pytest.mark.parametrize("bad", BAD_SPECS, ids=lambda bad: f"{bad['path']}={bad.get('value', '')}"[:60])
def test_a_bad_spec_is_refused_and_nothing_is_stored(
    http: httpx.Client, bad: dict[str, Any], nothing_stored: Any
) -> None:
    answer = post(http, changed(bad["path"], bad))
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["field"] == bad["field"]
    assert error["pointer"] == "#/" + bad["field"].replace(".", "/")
    assert error["remedy"]
    assert bad["said"] in answer.json()["detail"]
    nothing_stored()


@pytest.mark.parametrize("document", [None, [], 5, "name", {}, [SPEC]], ids=str)
def test_what_is_no_spec_at_all_is_refused(http: httpx.Client, document: object, nothing_stored: Any) -> None:
    assert post(http, document).status_code == 422
    nothing_stored()


def test_a_relative_corpus_path_is_refused_with_the_folders_of_the_server(
    http: httpx.Client, settings: Settings, nothing_stored: Any
) -> None:
    answer = post(http, SPEC | {"proxy": {"corpus": {"kind": "text", "path": "words.txt"}, "train_bytes": 1000}})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "proxy.corpus.path"
    assert str(settings.home / "corpora") in error["detail"]
    assert "FORMULARY_CORPUS_ROOTS" in error["remedy"]
    nothing_stored()

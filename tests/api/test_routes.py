"""The routes over a study that was imported: what is listed, shown, exported and deleted."""

import io
import shutil
import tarfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.settings import Settings
from studies.repository import leases
from studies.tables import StudyRow
from studies.workers.operations import execute_operation


def pages(http: httpx.Client, path: str, key: str, size: int) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    parameters: dict[str, Any] = {"page_size": size}
    while True:
        page = http.get(path, params=parameters).raise_for_status().json()
        assert 0 < len(page[key]) <= size
        items += page[key]
        if page["next_page_token"] is None:
            return items
        parameters["page_token"] = page["next_page_token"]


@pytest.mark.parametrize("size", [1, 7, 24, 47, 48, 49, 1000])
def test_pages_hold_every_trial_once(http: httpx.Client, study: int, size: int) -> None:
    trials = pages(http, f"/v1/studies/{study}/trials", "trials", size)
    assert [trial["number"] for trial in trials] == list(range(48))


def test_lists_studies_newest_first(http: httpx.Client, table: bytes) -> None:
    for name in "abc":
        parameters = {"name": name, "objective": "bits_per_byte"}
        http.post("/v1/studies:import", params=parameters, content=table, headers={"Content-Type": "text/csv"})
    assert [study["name"] for study in pages(http, "/v1/studies", "studies", 2)] == ["c", "b", "a"]


def test_shows_a_study_and_its_trials(http: httpx.Client, study: int) -> None:
    shown = http.get(f"/v1/studies/{study}").json()
    assert (shown["name"], shown["state"]) == ("sweep", "COMPLETED")
    assert shown["spec"]["objectives"] == [{"metric": "bits_per_byte", "direction": "minimize"}]
    trial = http.get(f"/v1/studies/{study}/trials/5").json()
    assert trial["parameters"]["batch_tokens"] == 2048
    assert trial["attributes"] == {"machine": "box"}
    assert trial["metrics"]["total_parameters"] == 300_000
    best = http.get(f"/v1/studies/{study}/best-trials", params={"page_size": 3}).json()["trials"]
    losses = [trial["metrics"]["bits_per_byte"] for trial in best]
    assert len(best) == 3
    assert losses == sorted(losses)


def test_lists_formulas(http: httpx.Client, study: int) -> None:
    formulas = http.get(f"/v1/studies/{study}/formulas").json()["formulas"]
    by_kind = {formula["kind"]: formula for formula in formulas}
    exponent = by_kind["learning_rate_batch"]["coefficients"]["r"]
    assert exponent["low"] < 0.5 < exponent["high"]


def test_deletes_a_study(http: httpx.Client, study: int) -> None:
    assert http.delete(f"/v1/studies/{study}").status_code == 204
    assert http.get(f"/v1/studies/{study}").status_code == 404


def _exported(http: httpx.Client, study: int, storage: Path) -> int:
    """Ask for an export and plant its files."""
    export = http.post(f"/v1/studies/{study}/exports", json={"format": "hf", "trial": 3}).raise_for_status().json()
    folder = storage / "exports" / str(export["id"])
    folder.mkdir(parents=True)
    (folder / "formulary.json").write_text("{}")
    return int(export["id"])


def test_deleting_a_study_deletes_its_exported_files(
    http: httpx.Client, planted: int, settings: Settings, tmp_path: Path
) -> None:
    first, second = (_exported(http, planted, settings.storage) for _ in range(2))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    exports = settings.storage / "exports"
    (exports / str(second)).rename(exports / "999")
    (exports / str(second)).symlink_to(outside)
    assert http.delete(f"/v1/studies/{planted}").status_code == 204
    assert not (exports / str(first)).exists()
    assert (exports / "999" / "formulary.json").exists()
    assert (outside / "kept").exists()


def test_a_study_that_runs_keeps_its_exported_files(
    app: FastAPI, http: httpx.Client, planted: int, settings: Settings
) -> None:
    export = _exported(http, planted, settings.storage)
    with app.state.database.session() as session:
        leases.claim(session, StudyRow, planted, "host:1:0:m", timedelta(hours=1))
    assert http.delete(f"/v1/studies/{planted}").status_code == 409
    assert (settings.storage / "exports" / str(export)).exists()


@pytest.fixture
def created(http: httpx.Client) -> Callable[[bool], httpx.Response]:
    def create(continue_unfinished: bool) -> httpx.Response:
        spec = {
            "name": "tiny",
            "space": {"depth": {"type": "int", "low": 1, "high": 2}},
            "proxy": {"train_bytes": 10_000},
            "max_trial_count": 2,
        }
        return http.post("/v1/studies", json=spec, params={"continue_unfinished": continue_unfinished})

    return create


def test_creates_a_study_or_goes_on(http: httpx.Client, created: Callable[[bool], httpx.Response]) -> None:
    first, second, again = created(False), created(False), created(True)
    assert [answer.status_code for answer in (first, second, again)] == [201, 201, 200]
    assert again.json()["id"] == second.json()["id"] != first.json()["id"]
    assert first.json()["state"] == "QUEUED"
    for study in (first, second):
        assert http.post(f"/v1/studies/{study.json()['id']}:cancel").json()["state"] == "CANCELLED"
    assert created(True).status_code == 201


def test_pauses_and_resumes(http: httpx.Client, created: Callable[[bool], httpx.Response]) -> None:
    study = created(False).json()["id"]
    states = [http.post(f"/v1/studies/{study}:{verb}").json()["state"] for verb in ("pause", "resume", "stop")]
    assert states == ["PAUSED", "QUEUED", "STOPPING"]


@pytest.mark.parametrize("query", [{}, {"trial": "best"}, {"trial": 3}])
def test_gives_a_recipe_with_a_source_for_every_field(http: httpx.Client, planted: int, query: dict[str, Any]) -> None:
    recipe = http.get(f"/v1/studies/{planted}/recipe", params=query).raise_for_status().json()
    assert {field["source"] for field in recipe["fields"]} <= {"formula", "trial", "default", "target", "derived"}


def test_exports_through_an_operation(app: FastAPI, http: httpx.Client, planted: int) -> None:
    asked = http.post(f"/v1/studies/{planted}/exports", json={"format": "formulary", "trial": "best"})
    assert asked.status_code == 202, asked.text
    export = asked.json()
    path = f"/v1/studies/{planted}/exports/{export['id']}"
    assert http.get(f"{path}/archive").status_code == 409
    assert http.get(f"/v1/operations/{export['operation_id']}").json()["state"] == "PENDING"
    execute_operation(app.state.database, export["operation_id"], app.state.settings.storage)
    operation = http.get(f"/v1/operations/{export['operation_id']}").json()
    assert operation["state"] == "SUCCEEDED", operation["error"]
    assert http.get(path).json()["state"] == "SUCCEEDED"
    assert [listed["id"] for listed in http.get(f"/v1/studies/{planted}/exports").json()["exports"]] == [export["id"]]
    with tarfile.open(fileobj=io.BytesIO(http.get(f"{path}/archive").content)) as archive:
        assert {"README.md", "formulary.json", "tokenizer.json"} <= set(archive.getnames())
    shutil.rmtree(app.state.settings.storage / "exports")
    gone = http.get(f"{path}/archive")
    assert gone.status_code == 404
    assert "export it again" in gone.json()["detail"]


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        ({"format": "gguf"}, "format"),
        ({"format": "internevo"}, "format"),
        ({"format": "hf", "tokens": 1000}, "total_parameters"),
        ({"format": "hf", "trial": "best", "total_parameters": 10**6, "tokens": 10**6}, "trial"),
        ({}, "format"),
    ],
)
def test_refuses_an_impossible_export(
    http: httpx.Client, planted: int, request_body: dict[str, object], field: str
) -> None:
    answer = http.post(f"/v1/studies/{planted}/exports", json=request_body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert http.get(f"/v1/studies/{planted}/exports").json()["exports"] == []


def test_openapi_describes_answers_and_the_spec(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    undescribed = [
        operation["operationId"]
        for operation in operations
        for code, answer in operation["responses"].items()
        if code.startswith("2") and code != "204" and "content" not in answer
    ]
    assert undescribed == []
    body = document["paths"]["/v1/studies"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    spec = document["components"]["schemas"][body["$ref"].rpartition("/")[2]] if "$ref" in body else body
    assert {"space", "proxy", "max_trial_count"} <= set(spec["properties"])


def test_is_alive(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}

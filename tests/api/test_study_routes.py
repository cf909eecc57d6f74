"""Spaces, values, copies of studies, and workers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.settings import Settings
from studies.records import IntermediateValue, StudyState, Trial, TrialState
from studies.repository import attempts, studies, trials, workers

SPEC: dict[str, Any] = {
    "name": "budget",
    "space": {"depth": {"type": "int", "low": 2, "high": 4}},
    "inner": {"learning_rate": [1e-3, 2e-3]},
    "constraints": {"total_parameters": {"target": 300_000}},
    "proxy": {"train_bytes": 10_000, "vocabulary_size": 512},
    "max_trial_count": 6,
}
NOW = datetime.now(UTC)


@pytest.fixture
def budget(http: httpx.Client) -> int:
    return int(http.post("/v1/studies", json=SPEC).raise_for_status().json()["id"])


def test_describes_the_space_of_a_study(http: httpx.Client, budget: int) -> None:
    space = http.get(f"/v1/studies/{budget}/space").raise_for_status().json()
    assert (space["points"], space["shapes"], space["inner_points"], space["max_trial_count"]) == (3, 3, 2, 6)
    assert space["parameters"]["depth"] == {"type": "int", "low": 2, "high": 4, "step": 1, "log": False}
    assert space["inner"] == {"learning_rate": [1e-3, 2e-3]}
    assert set(space["solved"]) >= {"width", "ffn_width", "total_parameters"}
    assert [point["values"]["depth"] for point in space["examples"]] == [2, 3, 4]
    assert (space["acceptance"], space["acceptance_draws"]) == (1.0, 0)
    (budget_exclusion,) = space["exclusions"]
    assert budget_exclusion["field"] == "constraints.total_parameters"
    cost = space["cost"]
    assert (cost["trials"], cost["device_seconds"]) == (6, None)
    assert cost["total_flops"] >= 6 * cost["flops_per_trial"]["low"] > 0
    assert any("no speed is known" in line for line in cost["assumptions"])


def test_the_time_of_trials_is_estimated_from_the_speed_of_complete_ones(
    app: FastAPI, http: httpx.Client, budget: int
) -> None:
    with app.state.database.session() as session:
        for number, seconds in enumerate((1.0, 2.0, 4.0)):
            attempts.start(session, budget, number, {"depth": 2}, {}, NOW)
            measured: Any = ({"train_flops": 1e9}, {"training_seconds": seconds}, None, NOW)
            attempts.finish(session, budget, number, TrialState.COMPLETE, *measured)
    cost = http.get(f"/v1/studies/{budget}/space").raise_for_status().json()["cost"]
    assert cost["device_seconds"] == pytest.approx(cost["total_flops"] / 5e8)
    assert any("5e+08 FLOP/s, the median of 3 complete trials" in line for line in cost["assumptions"])


@pytest.mark.parametrize(("method", "path"), [("GET", "/space"), ("POST", ":clone")])
def test_an_imported_study_has_no_space_and_no_copy(http: httpx.Client, study: int, method: str, path: str) -> None:
    refused = http.request(method, f"/v1/studies/{study}{path}")
    assert refused.status_code == 422
    assert "was imported" in refused.json()["detail"]


def test_clones_a_study(http: httpx.Client, budget: int) -> None:
    http.post(f"/v1/studies/{budget}:cancel")
    clone = http.post(f"/v1/studies/{budget}:clone")
    assert (clone.status_code, clone.json()["state"]) == (201, "QUEUED")
    assert clone.json()["id"] != budget
    assert clone.json()["spec"] == http.get(f"/v1/studies/{budget}").json()["spec"]
    assert http.post("/v1/studies/99:clone").status_code == 404


def test_lists_what_a_trial_reported(app: FastAPI, http: httpx.Client, budget: int) -> None:
    with app.state.database.session() as session:
        attempts.start(session, budget, 0, {"depth": 2}, {}, NOW)
        values = [IntermediateValue(0, step, "bits_per_byte", 4.0 - step / 100) for step in (100, 20)]
        attempts.report(session, budget, values)
    listed = http.get(f"/v1/studies/{budget}/trials/0/values").json()["values"]
    assert [(value["step"], value["value"]) for value in listed] == [(20, 3.8), (100, 3.0)]
    assert http.get(f"/v1/studies/{budget}/trials/1/values").status_code == 404


def test_lists_workers_that_live(app: FastAPI, http: httpx.Client) -> None:
    with app.state.database.session() as session:
        workers.say_alive(session, "first", None)
        workers.say_alive(session, "second", "http://127.0.0.1:8265")
        workers.say_alive(session, "silent", None)
        past = NOW - workers.SILENT_AFTER - timedelta(seconds=5)
        session.execute(
            text("UPDATE workers SET seen_at = :past WHERE id = 'silent'"), {"past": past.replace(tzinfo=None)}
        )
    listed = http.get("/v1/workers").json()["workers"]
    assert [(worker["id"], worker["dashboard_url"]) for worker in listed] == [
        ("first", None),
        ("second", "http://127.0.0.1:8265"),
    ]
    with app.state.database.session() as session:
        workers.say_goodbye(session, "first")
    assert [worker["id"] for worker in http.get("/v1/workers").json()["workers"]] == ["second"]


@pytest.fixture
def parents(http: httpx.Client, app: FastAPI) -> int:
    """An ended study whose single trial kept its weights."""
    spec = SPEC | {"name": "parents", "constraints": {}, "proxy": {**SPEC["proxy"], "keep_weights": True}}
    study = int(http.post("/v1/studies", json=spec).raise_for_status().json()["id"])
    attributes = {"ffn_width": 344, "kv_heads": 4, "weights_key": "ab" * 32}
    metrics = {"bits_per_byte": 2.0, "train_flops": 1e9}
    parameters = {"depth": 4, "learning_rate": 1e-3}
    trial = Trial(0, TrialState.COMPLETE, parameters, metrics, attributes, None, 1, NOW, NOW)
    with app.state.database.session() as session:
        trials.add_many(session, study, [trial])
        studies.set_state(session, study, StudyState.COMPLETED)
    return study


def test_a_study_inherits_from_the_best_trial_of_another(http: httpx.Client, parents: int) -> None:
    model = {"kind": "trial", "study": parents}
    spec = {key: value for key, value in SPEC.items() if key != "constraints"}
    heir = http.post("/v1/studies", json={**spec, "inherit": {"parent": model}, "teacher": {"model": model}})
    assert heir.status_code == 201, heir.text
    assert heir.json()["spec"]["inherit"]["parent"]["trial"] == 0
    cost = http.get(f"/v1/studies/{heir.json()['id']}/space").json()["cost"]
    assert not [line for line in cost["assumptions"] if "could not be looked at" in line]
    deeper = {**spec, "space": {"depth": {"type": "int", "low": 2, "high": 8}}, "inherit": {"parent": model}}
    (error,) = http.post("/v1/studies", json=deeper).json()["errors"]
    assert (error["field"], error["pointer"]) == ("space.depth", "#/space/depth")


def test_deleting_a_study_removes_the_weights_that_nobody_needs(
    http: httpx.Client, parents: int, settings: Settings
) -> None:
    folder = settings.storage / "weights" / ("ab" * 32)
    folder.mkdir(parents=True)
    spec = {key: value for key, value in SPEC.items() if key != "constraints"}
    heir = http.post("/v1/studies", json={**spec, "inherit": {"parent": {"kind": "trial", "study": parents}}}).json()
    refused = http.delete(f"/v1/studies/{parents}")
    assert (refused.status_code, f"study {heir['id']}" in refused.json()["detail"]) == (409, True)
    assert folder.is_dir()
    http.post(f"/v1/studies/{heir['id']}:cancel").raise_for_status()
    assert http.delete(f"/v1/studies/{parents}").status_code == 204
    assert not folder.exists()

"""Spaces, values, copies of studies, and workers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from studies.records import IntermediateValue, TrialState
from studies.repository import attempts, workers

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

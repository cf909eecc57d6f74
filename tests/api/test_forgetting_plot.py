"""The figure of what a trial of several rounds still knows of each part."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from plotly.graph_objects import Figure

from studies.records import IntermediateValue, StudyState, TrialState
from studies.repository import attempts, studies
from studies.service.forgetting import measures_forgetting

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ATTRIBUTES = {
    "rounds": 2,
    "parts": 2,
    "first_round_steps": 8,
    "later_round_steps": 4,
    "round_selection": "loss",
    "sampling_rate": 0.5,
}
PARTS = {1: [(4, 3.0), (8, 3.25), (12, 2.5)], 2: [(8, 3.5), (12, 3.0)]}


def plot(http: httpx.Client, study: int, **query: Any) -> dict[str, Any]:
    figure: dict[str, Any] = http.get(f"/v1/studies/{study}/plots/forgetting", params=query).raise_for_status().json()
    Figure(figure)  # plotly refuses what its schema does not have
    return figure


def add_trial(app: FastAPI, study: int, number: int, rounds: int, loss: float, **attributes: Any) -> None:
    told = [IntermediateValue(number, step, f"part_loss_{part}", at) for part, of in PARTS.items() for step, at in of]
    told += [IntermediateValue(number, step, "validation_loss", 4.0) for step in (4, 8, 12)]
    with app.state.database.session() as session:
        attempts.start(session, study, number, {"rounds": rounds}, {}, NOW)
        attempts.report(session, study, told)
        given = {**ATTRIBUTES, **attributes}
        attempts.finish(session, study, number, TrialState.COMPLETE, {"bits_per_byte": loss}, given, None, NOW)


@pytest.fixture
def in_rounds(app: FastAPI, http: httpx.Client) -> int:
    space = {"rounds": {"type": "categorical", "choices": [1, 2]}}
    proxy = {"train_bytes": 10_000_000, "batch_tokens": 256}
    spec = {"name": "in rounds", "proxy": proxy, "max_trial_count": 8, "space": space}
    study_id = int(http.post("/v1/studies", json=spec).raise_for_status().json()["id"])
    with app.state.database.session() as session:
        studies.set_state(session, study_id, StudyState.RUNNING)
    return study_id


def test_each_part_has_a_curve_and_the_times_in_which_it_was_trained(
    app: FastAPI, http: httpx.Client, in_rounds: int
) -> None:
    add_trial(app, in_rounds, 0, 1, 1.5)
    add_trial(app, in_rounds, 1, 2, 2.5)
    add_trial(app, in_rounds, 2, 2, 2.0)
    figure = plot(http, in_rounds)
    assert figure["layout"]["annotations"][-1]["text"] == "trial 2, later rounds by loss at 0.5"
    curves = {trace["name"]: trace for trace in figure["data"] if "name" in trace}
    assert list(curves) == ["unseen text", "part 1", "part 2"]
    assert (curves["part 1"]["x"], curves["part 1"]["y"]) == ([1024, 2048, 3072], [3.0, 3.25, 2.5])
    assert curves["part 1"]["line"]["color"] != curves["part 2"]["line"]["color"]
    first, second = [trace["x"] for trace in figure["data"] if trace.get("yaxis") == "y2"]
    assert first == [0, 1024, None, 2048, 2560, None]
    assert second == [1024, 2048, None, 2560, 3072, None]
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [2048]
    assert [note["text"] for note in figure["layout"]["annotations"][:-1]] == ["round 1", "round 2"]
    assert plot(http, in_rounds, trial=0)["layout"]["annotations"][-1]["text"].startswith("trial 0")
    page = http.get(f"/studies/{in_rounds}").text
    assert 'data-plot="forgetting"' in page


def test_fresh_rounds_train_no_part_again(app: FastAPI, http: httpx.Client, in_rounds: int) -> None:
    add_trial(app, in_rounds, 0, 2, 1.5, round_selection="fresh<b>")
    figure = plot(http, in_rounds)
    assert "fresh&lt;b&gt;" in figure["layout"]["annotations"][-1]["text"]
    add_trial(app, in_rounds, 1, 2, 1.0, round_selection="fresh")
    bars = [trace["x"] for trace in plot(http, in_rounds)["data"] if trace.get("yaxis") == "y2"]
    assert bars == [[0, 1024, None], [1024, 2048, None]]


def test_nothing_is_drawn_before_it_was_measured(http: httpx.Client, in_rounds: int, study: int) -> None:
    figure = plot(http, in_rounds)
    assert figure["data"] == []
    assert figure["layout"]["annotations"][-1]["text"] == "no trial has measured the loss on its parts yet"
    assert plot(http, in_rounds, trial=77)["data"] == []
    assert http.get(f"/v1/studies/{study}/plots/forgetting").status_code == 404


@pytest.mark.parametrize("attributes", [{"parts": 0}, {"first_round_steps": "many"}])
def test_attributes_of_no_run_draw_no_rounds(
    app: FastAPI, http: httpx.Client, in_rounds: int, attributes: dict[str, Any]
) -> None:
    add_trial(app, in_rounds, 0, 2, 1.5, **attributes)
    assert plot(http, in_rounds)["layout"]["shapes"] == []


def test_a_spec_says_whether_forgetting_is_measured() -> None:
    assert measures_forgetting({"inner": {"sampling_rate": [0.5]}})
    assert measures_forgetting({"proxy": {"rounds": 2}})
    assert measures_forgetting({"proxy": {"forgetting": True}})
    assert not measures_forgetting({"proxy": {"rounds": 2, "forgetting": False}})
    assert not measures_forgetting({"space": {"depth": {}}})
    assert not measures_forgetting({"space": {"rounds": {}}, "execution": "external"})

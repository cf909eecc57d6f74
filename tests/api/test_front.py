"""Several objectives over HTTP and on the page: the front, its knee, its plots, and the recipe of the knee."""

from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from plotly.graph_objects import Figure

from search.pareto import hypervolume
from studies import service
from studies.records import StudyState, Trial, TrialState
from studies.repository import studies, trials

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC: dict[str, Any] = {
    "name": "small and fast",
    "purpose": "optimise",
    "space": {"depth": {"type": "int", "low": 1, "high": 12}},
    "constraints": {"total_parameters": {"target": 1_000_000}},
    "sampler": {"kind": "nsga2"},
    "proxy": {"train_bytes": 100_000},
    "max_trial_count": 100,
}
OBJECTIVES = [
    {"metric": "bits_per_byte", "direction": "minimize"},
    {"metric": "decode_tokens_per_second", "direction": "maximize"},
    {"metric": "embedding_share", "direction": "minimize"},
]
PLANTED = [
    (TrialState.COMPLETE, (3.0, 50.0, 0.5)),
    (TrialState.COMPLETE, (2.5, 100.0, 0.4)),
    (TrialState.COMPLETE, (2.6, 700.0, 0.3)),
    (TrialState.COMPLETE, (2.9, 800.0, 0.3)),
    (TrialState.COMPLETE, (2.9, 700.0, 0.35)),
    (TrialState.PRUNED, (1.0, 9000.0, 0.1)),
    (TrialState.FAIL, None),
    (TrialState.COMPLETE, (2.5, 100.0, 0.4)),
]
FRONT, KNEE = [1, 7, 2, 3], 2


def plant(app: FastAPI, http: httpx.Client, objectives: list[dict[str, str]], rows: list[Any]) -> int:
    created = http.post("/v1/studies", json={**SPEC, "objectives": objectives}).raise_for_status().json()
    metrics = [objective["metric"] for objective in objectives]
    stored = [
        Trial(
            number,
            state,
            {"depth": 1 + number % 12, "width": 96},
            dict(zip(metrics, values, strict=False)) if values else {},
            {"ffn_width": 256, "heads": 3, "kv_heads": 3},
            None,
            1,
            NOW,
            NOW,
        )
        for number, (state, values) in enumerate(rows)
    ]
    with app.state.database.session() as session:
        trials.add_many(session, created["id"], stored)
        studies.set_state(session, created["id"], StudyState.RUNNING)
    return int(created["id"])


@pytest.fixture(params=[2, 3])
def several(request: pytest.FixtureRequest, app: FastAPI, http: httpx.Client) -> int:
    """A study of two or three objectives."""
    return plant(app, http, OBJECTIVES[: request.param], PLANTED)


def plot(http: httpx.Client, study: int, name: str, **query: Any) -> dict[str, Any]:
    figure: dict[str, Any] = http.get(f"/v1/studies/{study}/plots/{name}", params=query).raise_for_status().json()
    Figure(figure)  # plotly refuses what its schema does not have
    return figure


def test_the_best_trials_are_the_front_and_its_knee_is_named(http: httpx.Client, several: int) -> None:
    best = http.get(f"/v1/studies/{several}/best-trials").raise_for_status().json()
    assert [trial["number"] for trial in best["trials"]] == FRONT
    assert (best["knee"], best["front"]) == (KNEE, len(FRONT))
    short = http.get(f"/v1/studies/{several}/best-trials?page_size=2").raise_for_status().json()
    assert [trial["number"] for trial in short["trials"]] == [1, KNEE], "the knee is always among them"


def test_one_objective_has_no_front(app: FastAPI, http: httpx.Client) -> None:
    study = plant(app, http, OBJECTIVES[:1], PLANTED)
    best = http.get(f"/v1/studies/{study}/best-trials").raise_for_status().json()
    assert [trial["number"] for trial in best["trials"]] == [1, 7, 2, 3, 4, 0]
    assert (best["knee"], best["front"]) == (None, None)
    refused = http.get(f"/v1/studies/{study}/plots/pareto")
    assert refused.status_code == 404
    assert "pareto" not in refused.json()["detail"].split("it has")[1]


def test_before_the_first_trial_there_is_nothing_yet(app: FastAPI, http: httpx.Client) -> None:
    study = plant(app, http, OBJECTIVES[:2], [])
    best = http.get(f"/v1/studies/{study}/best-trials").raise_for_status().json()
    assert (best["trials"], best["knee"], best["front"]) == ([], None, 0)
    for name in ("pareto", "hypervolume"):
        assert not any(trace["x"] for trace in plot(http, study, name)["data"])
    assert http.get(f"/v1/studies/{study}/recipe").status_code == 422
    assert "No trial has finished yet." in http.get(f"/studies/{study}").raise_for_status().text


def test_the_front_is_drawn_for_each_pair_of_objectives(http: httpx.Client, several: int) -> None:
    figure = plot(http, several, "pareto", trial=0)
    named = [trace for trace in figure["data"] if trace["showlegend"]]
    assert [trace["name"] for trace in named] == ["dominated", "Pareto front", f"knee, trial {KNEE}", "trial 0"]
    dominated, front, knee, highlighted = named
    assert (dominated["customdata"], front["customdata"]) == ([0, 4], FRONT)
    assert (knee["x"], knee["y"]) == ([2.6], [700.0])
    assert highlighted["customdata"] == [0]
    panels = {(trace["xaxis"], trace["yaxis"]) for trace in figure["data"]}
    assert len(panels) in (1, 3)
    assert ("lines" in front["mode"]) == (len(panels) == 1), "steps join a front of two objectives"
    titles = {axis["title"]["text"] for key, axis in figure["layout"].items() if "axis" in key}
    assert titles >= {"bits per byte", "decode tokens per second (tokens/s)"}


def test_the_hypervolume_grows_to_that_of_the_front(http: httpx.Client, several: int) -> None:
    figure = plot(http, several, "hypervolume")
    (line,) = figure["data"]
    assert line["y"] == sorted(line["y"])
    assert line["x"][0] == 0
    assert line["x"][-1] == 7
    assert "reference point: bits per byte 2.94" in figure["layout"]["annotations"][0]["text"]
    if len(plot(http, several, "pareto")["data"]) < 6:  # two objectives
        reference, ideal = np.array([2.94, -30.0]), np.array([2.5, -800.0])
        whole = hypervolume(np.array([[2.5, -100.0], [2.6, -700.0], [2.9, -800.0]]), reference)
        assert line["y"][-1] == pytest.approx(whole / np.prod(reference - ideal))


def test_a_large_study_is_drawn_in_part(app: FastAPI, http: httpx.Client) -> None:
    generator = np.random.default_rng(0)
    rows = [(TrialState.COMPLETE, tuple(values)) for values in generator.random((4000, 2)) + 1]
    study = plant(app, http, OBJECTIVES[:2], rows)
    figure = plot(http, study, "pareto")
    assert sum(len(trace["x"]) for trace in figure["data"]) <= 3001
    assert "3000 of 4000 trials" in figure["layout"]["annotations"][0]["text"]
    assert plot(http, study, "hypervolume")["data"][0]["x"][-1] == 3999


def test_the_page_shows_the_front_and_recipes_take_the_knee(http: httpx.Client, several: int, app: FastAPI) -> None:
    page = http.get(f"/studies/{several}").raise_for_status().text
    assert "Knee of the front" in page
    assert f"trial {KNEE} of {len(FRONT)} on the front" in page
    assert 'data-plot="pareto"' in page
    assert 'data-plot="hypervolume"' in page
    recipe = http.get(f"/v1/studies/{several}/recipe").raise_for_status().json()
    depth = next(field for field in recipe["fields"] if field["name"] == "architecture.depth")
    assert (depth["value"], depth["reference"]) == (1 + KNEE, f"trial {KNEE}")
    with app.state.database.read_session() as session:
        best = service.best_trial(session, "local", several)
    assert best is not None
    assert best.number == KNEE


def test_a_page_of_one_objective_is_as_before(app: FastAPI, http: httpx.Client) -> None:
    page = http.get(f"/studies/{plant(app, http, OBJECTIVES[:1], PLANTED)}").raise_for_status().text
    assert 'id="best-value">2.5<' in page
    assert "pareto" not in page

"""The figures of a study: valid for plotly, capped for large studies, and harmless whatever a table holds."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from plotly.graph_objects import Figure

from api.plots.learning_curves import MAX_STEPS, thin
from studies import service
from studies.records import IntermediateValue, StudyState, Trial, TrialState
from studies.repository import attempts, studies, trials
from studies.service import overviews

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("learning-curves", "training-loss", "history", "objective-by-parameter")


def plot(http: httpx.Client, study: int, name: str, **query: Any) -> dict[str, Any]:
    figure: dict[str, Any] = http.get(f"/v1/studies/{study}/plots/{name}", params=query).raise_for_status().json()
    Figure(figure)  # plotly refuses what its schema does not have
    return figure


def axes(figure: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return figure["layout"]["xaxis"], figure["layout"]["yaxis"]


@pytest.fixture
def large(app: FastAPI, http: httpx.Client) -> int:
    """A study of more trials than a plot of curves draws; the lower the number, the better."""
    spec = {"name": "large", "proxy": {"train_bytes": 10_000}, "max_trial_count": 1000, "space": {}}
    study_id = int(http.post("/v1/studies", json=spec).raise_for_status().json()["id"])
    rows = [
        Trial(
            number,
            TrialState.COMPLETE,
            {"depth": 1 + number % 3},
            {"bits_per_byte": 2 + number / 1000},
            {},
            None,
            1,
            NOW,
            NOW,
        )
        for number in range(1000)
    ]
    with app.state.database.session() as session:
        trials.add_many(session, study_id, rows)
        studies.set_state(session, study_id, StudyState.RUNNING)
    return study_id


def test_history_has_the_best_so_far(http: httpx.Client, study: int) -> None:
    figure = plot(http, study, "history")
    best = next(trace for trace in figure["data"] if trace["name"].startswith("best so far"))
    assert best["y"] == sorted(best["y"], reverse=True)
    shown = next(trace for trace in figure["data"] if trace["name"] == "complete")
    assert min(shown["y"]) == best["y"][-1]
    assert shown["customdata"] == list(range(48))


def test_the_best_of_a_maximised_objective_is_the_largest(http: httpx.Client) -> None:
    table = b"depth,train_tokens_per_second\n1,5\n2,9\n3,7\n"
    query = {"name": "fast", "objective": "train_tokens_per_second:maximize"}
    headers = {"Content-Type": "text/csv"}
    study = (
        http.post("/v1/studies:import", params=query, content=table, headers=headers).raise_for_status().json()["id"]
    )
    best = next(trace for trace in plot(http, study, "history")["data"] if trace["name"].startswith("best"))
    assert best["y"] == [5, 9, 9]
    stars = [
        trace
        for trace in plot(http, study, "objective-by-parameter")["data"]
        if trace["marker"].get("symbol") == "star"
    ]
    assert [trace["y"] for trace in stars] == [[9]]


def test_parameters_have_units_and_logarithmic_axes(http: httpx.Client, study: int) -> None:
    layout = plot(http, study, "objective-by-parameter")["layout"]
    titles = {axis["title"]["text"]: axis for name, axis in layout.items() if name.startswith("xaxis")}
    assert set(titles) == {"depth (layers)", "batch tokens (tokens)", "learning rate"}
    assert {axis["type"] for axis in titles.values()} == {"log"}
    assert titles["batch tokens (tokens)"]["tickvals"] == [1024, 2048, 4096, 8192]


def test_formulas_are_drawn_with_points_law_and_region(http: httpx.Client, study: int) -> None:
    formulas = http.get(f"/v1/studies/{study}/formulas").json()["formulas"]
    assert [bool(formula["evidence"]["curve"]) for formula in formulas] == [False, True]
    for formula in formulas:
        figure = plot(http, study, f"formula-{formula['id']}")
        named = {trace["name"]: trace for trace in figure["data"]}
        curve = formula["evidence"]["curve"]
        assert len(named["law"]["x"] if curve else []) == len(curve)
        measured = [trace for trace in figure["data"] if trace["mode"] == "markers"]
        assert sum(len(trace["x"]) for trace in measured) == len(formula["evidence"]["points"])
        assert any("paper's F" in name for name in named) is bool(curve)
        assert axes(figure)[0]["type"] == "log"


def test_the_papers_region_is_between_its_slopes(http: httpx.Client, study: int) -> None:
    formulas = {formula["kind"]: formula for formula in http.get(f"/v1/studies/{study}/formulas").json()["formulas"]}
    figure = plot(http, study, f"formula-{formulas['learning_rate_batch']['id']}")
    left, right = [trace for trace in figure["data"] if trace["name"].startswith("paper's")]
    middle = formulas["learning_rate_batch"]["evidence"]["curve"][12]
    x, y = middle["batch_tokens"], middle["learning_rate"]
    inside = y * (max(right["x"]) / x) ** 0.5
    far = [height for at, height in zip(right["x"], right["y"], strict=True) if at == max(right["x"])]
    assert min(far) < inside < max(far)
    assert max(left["x"]) == pytest.approx(x)


def test_learning_curves_are_in_tokens_and_ranked(app: FastAPI, http: httpx.Client, planted: int) -> None:
    values = [
        IntermediateValue(number, step, "bits_per_byte", 5 - step / 100 + number)
        for number in (20, 21)
        for step in (10, 20)
    ]
    with app.state.database.session() as session:
        for number in (20, 21):
            attempts.start(session, planted, number, {"depth": 1, "batch_tokens": 256}, {}, NOW)
        attempts.report(session, planted, values)
    figure = plot(http, planted, "learning-curves")
    running = next(trace for trace in figure["data"] if trace["name"] == "running")
    assert running["x"] == [2560, 5120, None, 2560, 5120, None]
    assert running["customdata"] == [20, 20, 20, 21, 21, 21]
    assert axes(figure)[0]["title"]["text"] == "training tokens"
    highlighted = plot(http, planted, "learning-curves", trial=21)["data"][-1]
    assert (highlighted["name"], highlighted["y"][:2]) == ("trial 21", [25.9, 25.8])


def test_where_trials_were_stopped_is_marked(app: FastAPI, http: httpx.Client, planted: int) -> None:
    losses = {20: [5.0], 21: [4.0, 3.5]}
    with app.state.database.session() as session:
        for number, values in losses.items():
            attempts.start(session, planted, number, {"depth": 1, "batch_tokens": 256}, {}, NOW)
            told = [IntermediateValue(number, step, "bits_per_byte", loss) for step, loss in enumerate(values, 1)]
            attempts.report(session, planted, told)
            metrics = {"bits_per_byte": values[-1]}
            attempts.finish(session, planted, number, TrialState.PRUNED, metrics, {}, "rung 1: place 3 of 3", NOW)
    figure = plot(http, planted, "learning-curves")
    stopped = next(trace for trace in figure["data"] if trace["name"] == "stopped early")
    assert stopped["y"] == [5.0, None, 4.0, 3.5, None]
    assert [size > 0 for size in stopped["marker"]["size"]] == [True, False, False, True, False]
    assert http.get(f"/v1/studies/{planted}/trials/20").json()["reason"] == "rung 1: place 3 of 3"


def test_training_losses_are_a_figure_of_their_own(app: FastAPI, http: httpx.Client, planted: int) -> None:
    with app.state.database.session() as session:
        attempts.start(session, planted, 20, {"depth": 1, "batch_tokens": 256}, {}, NOW)
        values = [IntermediateValue(20, step, "train_loss", 6 - step) for step in (1, 2, 3)]
        attempts.report(session, planted, [*values, IntermediateValue(20, 3, "bits_per_byte", 9.0)])
    figure = plot(http, planted, "training-loss")
    running = next(trace for trace in figure["data"] if trace["name"] == "running")
    assert (running["x"], running["y"]) == ([256, 512, 768, None], [5, 4, 3, None])
    assert axes(figure)[1]["title"]["text"] == "train loss (nats a token)"
    stored = http.get(f"/v1/studies/{planted}/trials/20/values").json()["values"]
    assert {value["metric"] for value in stored} == {"train_loss", "bits_per_byte"}


def test_a_trial_is_highlighted_where_it_is_drawn(http: httpx.Client, study: int) -> None:
    value = http.get(f"/v1/studies/{study}/trials/5").json()["metrics"]["bits_per_byte"]
    assert plot(http, study, "history", trial=5)["data"][-1]["y"] == [value]
    rings = [
        trace
        for trace in plot(http, study, "objective-by-parameter", trial=5)["data"]
        if trace.get("name") == "trial 5"
    ]
    assert [ring["y"] for ring in rings] == [[value]] * 3
    assert plot(http, study, "history", trial=4000) == plot(http, study, "history")


def test_large_studies_are_drawn_in_part(app: FastAPI, http: httpx.Client, large: int) -> None:
    with app.state.database.read_session() as session:
        whole = overviews.drawing(session, "local", large)
        part = overviews.drawing(session, "local", large, 100, highlighted=999)
    assert len(whole.points) == 1000
    numbers = [point.number for point in part.points]
    assert set(range(50)) <= set(numbers)
    assert len(numbers) in (100, 101)
    assert 999 in numbers
    assert {number % 3 for number in numbers[50:]} == {0, 1, 2}
    assert part.total == 1000
    figure = plot(http, large, "history")
    assert figure["layout"]["annotations"] == []


def test_a_figure_in_part_says_so(
    app: FastAPI, http: httpx.Client, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from api.plots.history import history

    with app.state.database.read_session() as session:
        figure = history(overviews.drawing(session, "local", large, 100))
    assert figure["layout"]["annotations"][0]["text"].startswith("100 of 1000 trials")


def test_long_curves_keep_their_ends() -> None:
    curve = [(step, 1.0) for step in range(10_001)]
    kept = thin(curve)
    assert len(kept) == MAX_STEPS
    assert (kept[0], kept[-1]) == (curve[0], curve[-1])


@pytest.mark.parametrize("name", NAMES)
def test_a_study_without_trials_has_empty_figures(http: httpx.Client, name: str) -> None:
    spec = {"name": "new", "proxy": {"train_bytes": 10_000}, "max_trial_count": 2}
    study = http.post("/v1/studies", json=spec).raise_for_status().json()["id"]
    assert not any(trace["x"] for trace in plot(http, study, name)["data"])


def test_an_unknown_plot_names_those_that_there_are(http: httpx.Client, study: int) -> None:
    answer = http.get(f"/v1/studies/{study}/plots/parallel")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert all(name in answer.json()["detail"] for name in NAMES)
    assert f"formula-{study}-depth_width-r1" in answer.json()["detail"]
    assert http.get(f"/v1/studies/999/plots/{NAMES[0]}").status_code == 404


def test_texts_of_a_table_are_escaped(http: httpx.Client, create_table: Callable[[str], int]) -> None:
    study = create_table("<a href='javascript:alert(1)'>x</a>")
    for name in NAMES:
        content = http.get(f"/v1/studies/{study}/plots/{name}").text
        assert "<a href" not in content
    assert "&lt;a href" in http.get(f"/v1/studies/{study}/plots/objective-by-parameter").text


@pytest.fixture
def create_table(http: httpx.Client) -> Callable[[str], int]:
    """Import a table in which a parameter has a text as one of its values."""

    def create(value: str) -> int:
        table = f'init_scheme,depth,bits_per_byte\n"{value}",2,3.1\ngpt2,3,3.2\n'.encode()
        query = {"name": "texts", "objective": "bits_per_byte"}
        answer = http.post("/v1/studies:import", params=query, content=table, headers={"Content-Type": "text/csv"})
        return int(answer.raise_for_status().json()["id"])

    return create


def test_listed_plots_are_those_that_are_served(app: FastAPI, http: httpx.Client, study: int) -> None:
    from api import plots

    with app.state.database.read_session() as session:
        names = plots.names(session, "local", study)
        formulas = service.list_formulas(session, "local", study)
    assert names == [*NAMES, *(f"formula-{formula.id}" for formula in formulas)]
    drawn = [name for name in names if any(trace["x"] for trace in plot(http, study, name)["data"])]
    assert drawn == names[2:]  # a table holds no curves

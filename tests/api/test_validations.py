"""Validations over HTTP, on the page, in a plot and on the command line; the runs are planted."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from plotly.graph_objects import Figure
from typer.testing import CliRunner, Result

from api.cli import app as cli
from api.commands import validate
from studies.database import Database
from studies.records import StudyState, Trial, TrialState
from studies.repository import studies, trials

SIZES = [40_000, 80_000, 160_000]
REQUEST = {"sizes": SIZES, "tokens_per_parameter": 1}
LEADS = {"recipe": 0.0, "default": 0.3, "step_law": 0.2, "half_rate": 0.1, "double_rate": 0.15}
Json = dict[str, Any]


def train(database: Database, validation: Json) -> None:
    """Store every run of a validation: each rival worse than the recipe by its lead, with some noise."""
    for rung, planned in zip(validation["rungs"], validation["plan"]["rungs"], strict=True):
        by_point = {one["point"]: one["name"] for one in reversed(planned["candidates"])}
        seeds = len(planned["seeds"])
        made = [
            Trial(
                point * seeds + seed,
                TrialState.COMPLETE,
                {"seed": seed},
                {"bits_per_byte": 3.0 + LEADS[name] + 0.001 * ((seed + point) % 3)},
                {},
                None,
                1,
                None,
                None,
            )
            for point, name in by_point.items()
            for seed in range(seeds)
        ]
        with database.session() as session:
            trials.add_many(session, rung["study_id"], made)
            studies.set_state(session, rung["study_id"], StudyState.COMPLETED)


@pytest.fixture
def created(http: httpx.Client, planted: int) -> Json:
    answer = http.post(f"/v1/studies/{planted}/validations", json=REQUEST)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_plan_costs_nothing_and_is_what_is_created(http: httpx.Client, planted: int) -> None:
    before = http.get("/v1/studies").json()
    plan = http.get(f"/v1/studies/{planted}/validation-plan", params=REQUEST).raise_for_status().json()
    assert http.get("/v1/studies").json() == before
    created = http.post(f"/v1/studies/{planted}/validations", json=REQUEST).json()
    assert created["plan"] == plan
    assert [study["name"] for study in http.get("/v1/studies").json()["studies"][:3]] == [
        f"planted: validation 1, size {place} of 3" for place in (3, 2, 1)
    ]


def test_it_is_read_while_it_runs_and_when_it_has_ended(
    http: httpx.Client, app: FastAPI, planted: int, created: Json
) -> None:
    path = f"/v1/studies/{planted}/validations"
    assert (created["state"], created["judgement"]["verdict"]) == ("running", None)
    again = http.post(path, json=REQUEST, params={"continue_unfinished": True})
    assert (again.status_code, again.json()["id"]) == (200, created["id"])
    train(app.state.database, created)
    (ended,) = http.get(path).json()["validations"]
    assert (ended["state"], ended["judgement"]["verdict"]) == ("ended", "passed")
    assert http.get(f"{path}/{created['id']}").json() == ended


def test_a_request_that_is_sent_twice_is_created_once(http: httpx.Client, planted: int) -> None:
    headers = {"Idempotency-Key": "once"}
    first, second = (http.post(f"/v1/studies/{planted}/validations", json=REQUEST, headers=headers) for _ in range(2))
    assert first.json() == second.json()
    assert len(http.get(f"/v1/studies/{planted}/validations").json()["validations"]) == 1


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"sizes": [1, 2]}, "sizes"),
        ({"sizes": [80_000, 40_000, 160_000], "tokens_per_parameter": 1}, "sizes"),
        ({"sizes": [100, 80_000, 160_000], "tokens_per_parameter": 1}, "sizes.0"),
        ({**REQUEST, "max_train_flops": 10}, "max_train_flops"),
        ({"total_parameters": 10}, "tokens"),
        ({**REQUEST, "seeds": 1}, "seeds"),
        ({"sizes": SIZES}, "tokens_per_parameter"),
    ],
)
def test_what_cannot_be_used_names_its_field(http: httpx.Client, planted: int, request_: Json, field: str) -> None:
    answer = http.post(f"/v1/studies/{planted}/validations", json=request_)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"].startswith(field), answer.text
    assert len(http.get("/v1/studies").json()["studies"]) == 1


def test_a_study_that_runs_or_was_imported_is_refused(http: httpx.Client, study: int, created: Json) -> None:
    assert http.post(f"/v1/studies/{study}/validations", json=REQUEST).status_code == 422
    running = created["rungs"][0]["study_id"]
    assert http.post(f"/v1/studies/{running}/validations", json=REQUEST).status_code == 409
    assert http.get(f"/v1/studies/{study}/validations/{created['id']}").status_code == 404


def test_its_plot_is_one_for_plotly(http: httpx.Client, app: FastAPI, planted: int, created: Json) -> None:
    path = f"/v1/studies/{planted}/plots/validation-{created['id']}"
    assert http.get(path).json()["data"] == []
    train(app.state.database, created)
    figure = http.get(path).raise_for_status().json()
    Figure(figure)
    traces = {trace["name"]: trace for trace in figure["data"]}
    assert {"margin", "default config", "Step Law", "lr / 2", "lr × 2", "regret is at most (95 %)"} <= traces.keys()
    half = traces["lr / 2"]
    assert half["y"] == pytest.approx([-0.1] * 3, abs=0.002)
    assert all(
        up > 0 and down > 0 for up, down in zip(half["error_y"]["array"], half["error_y"]["arrayminus"], strict=True)
    )
    assert all(
        bound > estimate for bound, estimate in zip(traces["regret is at most (95 %)"]["y"], half["y"], strict=True)
    )
    refused = http.get(f"/v1/studies/{planted}/plots/validation-99")
    assert refused.status_code == 404
    assert f"validation-{created['id']}" in refused.json()["detail"]


def test_the_page_shows_verdict_reasons_and_every_candidate(
    http: httpx.Client, app: FastAPI, planted: int, created: Json
) -> None:
    running = http.get(f"/studies/{planted}").text
    assert 'data-running="1"' in running
    assert "0 of 45 runs have ended" in running
    train(app.state.database, created)
    page = http.get(f"/studies/{planted}").text
    assert 'data-running="0"' in page
    assert '<span class="badge good">passed</span>' in page
    assert f'data-plot="validation-{created["id"]}"' in page
    assert page.count("default config") == 3
    rung = http.get(f"/studies/{created['rungs'][0]['study_id']}").text
    assert f'Trains one size of <a href="/studies/{planted}#validations">validation {created["id"]}</a>' in rung
    assert 'data-running="0"' in http.get("/studies/1").text


def test_a_page_without_validations_has_none(http: httpx.Client, study: int) -> None:
    page = http.get(f"/studies/{study}").text
    assert 'id="validations"' in page
    assert "against its rivals" not in page


Run = Callable[..., Result]


@pytest.fixture
def run(settings: Any, planted: int) -> Run:
    """Run the command on the home of the application, without a terminal."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["--home", str(settings.home), "validate", str(planted), *arguments])

    return run


SIZES_OPTION = ("--sizes", "4e4,8e4,1.6e5", "--tokens-per-parameter", "1")


def test_the_command_shows_a_plan_and_trains_nothing(http: httpx.Client, run: Run, planted: int) -> None:
    shown = run(*SIZES_OPTION, "--plan")
    assert shown.exit_code == 0, shown.output
    assert "45 runs" in shown.output
    assert "training FLOPs" in shown.output
    assert "Step Law" in shown.output
    plan = json.loads(run(*SIZES_OPTION, "--plan", "--json").stdout)
    assert plan["runs"] == 45
    assert http.get(f"/v1/studies/{planted}/validations").json()["validations"] == []


def test_the_command_asks_before_it_spends(http: httpx.Client, run: Run, planted: int) -> None:
    refused = run(*SIZES_OPTION)
    assert refused.exit_code == 1
    assert "--yes" in refused.stderr
    assert "45 runs" in refused.stderr
    assert http.get(f"/v1/studies/{planted}/validations").json()["validations"] == []


def test_the_command_trains_each_size_and_prints_the_verdict(
    app: FastAPI, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven: list[int] = []

    def drive(application: Any, study: Json) -> None:
        driven.append(study["id"])
        if len(driven) == 3:
            (validation,) = application.client.list_validations(1)
            train(app.state.database, validation)

    monkeypatch.setattr(validate, "drive", drive)
    ended = run(*SIZES_OPTION, "--yes")
    assert ended.exit_code == 0, ended.output
    assert len(driven) == 3
    assert "verdict: passed" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "1"
    assert "passed" in run("--list").stdout
    shown = run("--show", "1")
    assert re.search(r"recipe\s.*better", shown.stdout, re.DOTALL)
    assert json.loads(run("--show", "1", "--json").stdout)["judgement"]["verdict"] == "passed"


def test_the_command_goes_on_with_what_was_cut_off_without_asking(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(application: Any, study: Json) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(validate, "drive", interrupted)
    first = run(*SIZES_OPTION, "--yes")
    assert first.exit_code == validate.INTERRUPTED
    assert "validation 1 is interrupted; go on with the same command" in first.stderr
    again = run(*SIZES_OPTION)
    assert "going on with validation 1" in again.stderr


@pytest.mark.parametrize("text", ["a,b,c", "1.5,2,3", "1e6;2e6", "-1,2,3"])
def test_sizes_that_are_none_are_refused(run: Run, text: str) -> None:
    refused = run("--sizes", text, "--plan")
    assert refused.exit_code == 2
    assert "--sizes" in refused.stderr


def test_help_teaches(run: Run) -> None:
    said = CliRunner().invoke(cli, ["validate", "--help"]).stdout
    for word in ("rivals", "margin", "Regret", "--max-train-flops", "Examples", "goes on"):
        assert word in said

"""Points and further trials over HTTP and on the command line, and what is said of leaders on fresh seeds."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from api.cli import app as cli
from api.settings import Settings
from studies.records import StudyState, Trial, TrialState
from studies.repository import studies, trials

SPEC: dict[str, Any] = {
    "name": "goes on",
    "space": {"depth": {"type": "int", "low": 2, "high": 9}},
    "inner": {"learning_rate": [1e-3, 2e-3]},
    "constraints": {"total_parameters": {"target": 300_000}},
    "proxy": {"train_bytes": 10_000, "vocabulary_size": 512, "head_dim": 16},
    "max_trial_count": 6,
}


@pytest.fixture
def made(http: httpx.Client) -> int:
    return int(http.post("/v1/studies", json=SPEC).raise_for_status().json()["id"])


def test_enqueues_one_point_or_several(http: httpx.Client, made: int) -> None:
    one = http.post(f"/v1/studies/{made}/trials:enqueue", json={"parameters": {"depth": 4}})
    assert one.status_code == 201
    (point,) = one.json()["points"]
    assert (point["position"], point["values"]["depth"]) == (0, 4)
    assert point["values"]["width"] > 0
    several = http.post(f"/v1/studies/{made}/trials:enqueue", json={"parameters": [{"depth": 5}, {"depth": 6}]})
    assert [point["position"] for point in several.json()["points"]] == [1, 2]


@pytest.mark.parametrize(
    ("parameters", "field", "said"),
    [
        ({"depth": 10}, "parameters.depth", "outside of 2 to 9"),
        ({}, "parameters.depth", "is missing"),
        ({"dpeth": 4, "depth": 4}, "parameters.dpeth", "did you mean depth?"),
        ([{"depth": 4}, {"depth": 4}], "parameters.1", "is parameters.0 too"),
        ([], "parameters", ""),
        ("depth", "parameters", ""),
        ({"depth": 4, "width": 2}, "parameters.width", "leave it out"),
        ({"depth": {"low": 2}}, "parameters.depth", ""),
    ],
)
def test_refuses_a_point_by_its_field(http: httpx.Client, made: int, parameters: object, field: str, said: str) -> None:
    refused = http.post(f"/v1/studies/{made}/trials:enqueue", json={"parameters": parameters})
    assert refused.status_code == 422, refused.text
    error = refused.json()["errors"][0]
    assert error["field"].startswith(field)
    assert error["pointer"].startswith("#/" + field.replace(".", "/"))
    assert said in refused.json()["detail"]


def test_a_point_sent_twice_under_one_key_is_enqueued_once(http: httpx.Client, made: int) -> None:
    for _ in range(2):
        answer = http.post(
            f"/v1/studies/{made}/trials:enqueue", json={"parameters": {"depth": 4}}, headers={"Idempotency-Key": "a"}
        )
        assert [point["position"] for point in answer.json()["points"]] == [0]


def test_extends_a_study_and_warns(http: httpx.Client, made: int) -> None:
    extended = http.post(f"/v1/studies/{made}:extend", json={"trials": 5})
    assert extended.status_code == 200
    assert extended.json()["spec"]["max_trial_count"] == 11
    assert "11 is no multiple of the 2 inner points" in extended.json()["warnings"][0]
    assert http.post(f"/v1/studies/{made}:extend", json={"trials": 5}).status_code == 200
    full = http.post(f"/v1/studies/{made}:extend", json={"trials": 1})
    assert full.status_code == 409
    assert "has 16 trials, and all of them are asked for" in full.json()["detail"]
    assert http.post(f"/v1/studies/{made}:extend", json={"trials": 0}).status_code == 422


def test_an_imported_study_does_not_go_on(http: httpx.Client, study: int) -> None:
    for path, body in (("/trials:enqueue", {"parameters": {"depth": 4}}), (":extend", {"trials": 1})):
        refused = http.post(f"/v1/studies/{study}{path}", json=body)
        assert refused.status_code == 422
        assert "was imported" in refused.json()["detail"]


@pytest.fixture
def with_leaders(app: FastAPI, http: httpx.Client) -> int:
    """A finished study whose luckiest run, trial 1, is not what fresh seeds say is best."""
    document = {**SPEC, "seeds": {"count": 2, "leaders": 2}, "max_trial_count": 8}
    study_id = int(http.post("/v1/studies", json=document).raise_for_status().json()["id"])
    own = {0: 2.5, 1: 2.0, 2: 2.1, 3: 2.6}
    fresh = {4: (1, 2.40), 5: (1, 2.42), 6: (2, 2.20), 7: (2, 2.21)}
    with app.state.database.session() as session:
        rows = [_trial(number, value, {"origin": "design"}) for number, value in own.items()]
        rows += [
            _trial(number, value, {"origin": "replicate", "replicate_of": leader, "replicate": number - 4})
            for number, (leader, value) in fresh.items()
        ]
        trials.add_many(session, study_id, rows)
        studies.set_state(session, study_id, StudyState.COMPLETED)
    return study_id


def _trial(number: int, value: float, attributes: dict[str, Any]) -> Trial:
    ended: Any = None
    parameters = {"depth": 2 + number // 2, "width": 64, "learning_rate": 1e-3}
    return Trial(number, TrialState.COMPLETE, parameters, {"bits_per_byte": value}, attributes, None, 1, ended, ended)


def test_the_best_trial_is_the_best_on_fresh_seeds(http: httpx.Client, with_leaders: int) -> None:
    found = http.get(f"/v1/studies/{with_leaders}/best-trials").json()
    assert [trial["number"] for trial in found["trials"]] == [2, 1, 0, 3]
    assert [(leader["number"], leader["mean"]) for leader in found["leaders"]] == [
        (2, pytest.approx(2.205)),
        (1, pytest.approx(2.41)),
    ]
    assert found["comparison"]["winner"] == 2
    assert found["comparison"]["beyond_noise"]
    page = http.get(f"/studies/{with_leaders}", headers={"Accept": "text/html"}).text
    assert "mean on 2 fresh seeds" in page
    assert "beyond noise" in page


def command(settings: Settings, *arguments: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments), "--home", str(settings.home)])


def test_the_commands(app: FastAPI, http: httpx.Client, settings: Settings, made: int, tmp_path: Path) -> None:
    assert command(settings, "study", "extend", made, "--trials", 4).exit_code == 0
    enqueued = command(settings, "study", "enqueue", made, "--parameter", "depth=4")
    assert (enqueued.exit_code, "1 enqueued, at position 0" in enqueued.output) == (0, True)
    file = tmp_path / "points.yaml"
    file.write_text("- {depth: 5}\n- {depth: 6}\n")
    assert "at position 1 to 2" in command(settings, "study", "enqueue", made, "--file", file).output
    for arguments in (
        ("--parameter", "depth"),
        ("--parameter", "depth=[1"),
        ("--parameter", "depth=5", "--parameter", "depth=6"),
        (),
        ("--parameter", "depth=5", "--file", file),
        ("--parameter", "depth=99"),
    ):
        refused = command(settings, "study", "enqueue", made, *arguments)
        assert refused.exit_code == 1, arguments
        assert refused.stderr.count("\n") == 1
    file.write_text("depth: 5\n")
    assert "write a list" in command(settings, "study", "enqueue", made, "--file", file).stderr


def test_the_report_says_what_fresh_seeds_said(app: FastAPI, settings: Settings, with_leaders: int) -> None:
    said = command(settings, "study", "watch", with_leaders).output
    assert "best trial 2: bits_per_byte 2.205 ± 0.005 (mean on 2 fresh seeds" in said
    assert "better than trial 1 by 0.205" in said

"""Campaigns over HTTP and on the command line; the trials are planted."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from api.cli import app as cli
from api.commands.campaign_source import campaign_request
from studies import runner
from studies.campaigns.presets import preset_names
from studies.specs.yaml import dump_spec_yaml
from studies.workers.campaigns import advance_campaigns
from tests.studies.campaigns.planted import PlantedSearch, document, train

Formulary = Callable[..., Result]
Json = dict[str, Any]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A text below the corpora of the home, quickly read."""
    folder = tmp_path / "home" / "corpora"
    folder.mkdir(parents=True)
    path = folder / "text.txt"
    path.write_text("".join(f"Line {number} of a text, {number**3}.\n" for number in range(2000)), encoding="utf-8")
    return path


@pytest.fixture
def created(http: httpx.Client, corpus: Path) -> Json:
    answer = http.post("/v1/campaigns", json={"document": document()})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def refusal(http: httpx.Client, change: Callable[[Json], object]) -> Json:
    given = document()
    change(given)
    answer = http.post("/v1/campaigns", json={"document": given})
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    return dict(error)


def test_a_plan_costs_nothing_and_counts_what_is_then_created(http: httpx.Client, app: FastAPI, corpus: Path) -> None:
    plan = http.post("/v1/campaigns:plan", json={"document": document()}).raise_for_status().json()
    assert http.get("/v1/campaigns").json() == {"campaigns": [], "next_page_token": None}
    assert [stage["trials"] for stage in plan["stages"]] == [3, 8, 9]
    assert plan["trials"] == 20 + 3 * 3
    parts = [*plan["stages"], *plan["rungs"]]
    assert plan["train_flops"] == pytest.approx(sum(part["train_flops"] for part in parts))
    campaign = http.post("/v1/campaigns", json={"document": document()}).json()
    assert http.get(f"/v1/campaigns/{campaign['id']}/plan").json() == plan
    assert [stage["trials"] for stage in campaign["stages"]] == [3, 8, 8]


def test_it_is_watched_from_its_first_study_to_its_ladder(http: httpx.Client, app: FastAPI, created: Json) -> None:
    path = f"/v1/campaigns/{created['id']}"
    database = app.state.database
    for place in range(3):
        train(database, http.get(path).json()["stages"][place]["study_id"])
        advance_campaigns(database)
    halfway = http.get(path).json()
    outcomes = [stage["outcome"] for stage in halfway["stages"]]
    assert [outcome["winner"]["rule"] for outcome in outcomes] == ["mean_over_seeds", "mean_over_seeds", "fresh_seeds"]
    assert outcomes[1]["adopted"]["depth"] == 4
    assert [rung["setting"]["proxy"]["vocabulary_size"] for rung in halfway["rungs"]] == [300, 400, 400]
    for rung in halfway["rungs"]:
        train(database, rung["study_id"])
    advance_campaigns(database)
    ended = http.get(path).json()
    assert (ended["state"], [rung["ended"] for rung in ended["rungs"]]) == ("COMPLETED", [3, 3, 3])
    assert http.get("/v1/studies").json()["studies"][0]["name"] == "tiny paper: architecture"
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404


def test_a_campaign_is_created_once(http: httpx.Client, created: Json) -> None:
    body = {"document": document()}
    again = http.post("/v1/campaigns", json=body, params={"continue_unfinished": True})
    assert (again.status_code, again.json()["id"]) == (200, created["id"])
    keyed = [http.post("/v1/campaigns", json=body, headers={"Idempotency-Key": "one"}).json()["id"] for _ in range(2)]
    assert keyed == [created["id"] + 1] * 2
    first = http.get("/v1/campaigns", params={"page_size": 1}).json()
    assert [one["id"] for one in first["campaigns"]] == [created["id"] + 1]
    rest = http.get("/v1/campaigns", params={"page_token": first["next_page_token"]}).json()
    assert ([one["id"] for one in rest["campaigns"]], rest["next_page_token"]) == ([created["id"]], None)


def test_it_takes_another_corpus_and_name(http: httpx.Client, corpus: Path) -> None:
    other = corpus.with_name("other.txt")
    other.write_text(corpus.read_text(encoding="utf-8").replace("Line", "Row"), encoding="utf-8")
    given = document()
    given["stages"][0]["study"]["proxy"] = {"corpus": {"kind": "builtin"}}
    body = {"document": given, "name": "mine", "corpus": {"kind": "text", "path": "other.txt"}}
    campaign = http.post("/v1/campaigns", json=body).raise_for_status().json()
    wanted = {"kind": "text", "path": str(other)}
    assert campaign["name"] == "mine"
    assert campaign["document"]["baseline"]["proxy"]["corpus"] == wanted
    assert campaign["document"]["stages"][0]["study"]["proxy"] == {"corpus": wanted}
    missing = http.post("/v1/campaigns", json={**body, "corpus": {"kind": "text", "path": "none.txt"}}).json()
    assert missing["errors"][0]["field"] == "corpus.path"


def nested(depth: int) -> object:
    return [nested(depth - 1)] if depth else "deep"


def test_what_is_wrong_is_said_by_its_place(http: httpx.Client, corpus: Path) -> None:
    def inherit(stage: str) -> Json:
        return {"parent": {"kind": "stage", "stage": stage}}

    wrong: dict[str, tuple[Callable[[Json], object], str]] = {
        "stages.1.study.space.depht": (
            lambda one: one["stages"][1]["study"]["space"].update(depht={"type": "int", "low": 1, "high": 2}),
            "did you mean depth?",
        ),
        "stages.0.adopt.0": (lambda one: one["stages"][0].update(adopt=["depth"]), "it has vocabulary_size, width"),
        "stages.2.study.inherit.parent.stage": (
            lambda one: one["stages"][2]["study"].update(inherit=inherit("tokenizer")),
            "write keep_weights: true",
        ),
        "stages.0.study.teacher.model.stage": (
            lambda one: one["stages"][0]["study"].update(teacher={"model": {"kind": "stage", "stage": "rate"}}),
            "name a folder or a trial",
        ),
        "stages.0.study.execution": (lambda one: one["stages"][0]["study"].update(execution="external"), "leave it"),
        "stages.0.study.proxy": (lambda one: one["stages"][0]["study"].update(proxy=4), "a mapping"),
        "stages": (lambda one: one["stages"].append(one["stages"][0]), "rename one of them"),
        "stages.0.studi": (lambda one: one["stages"][0].update(studi={}), "did you mean study?"),
        "ladder.first_seed": (lambda one: one["ladder"].update(first_seed=4), "give more than 4"),
        "ladder.seeds": (lambda one: one["ladder"].update(seeds=2), "greater than or equal to 3"),
        "stages.0.rung": (lambda one: one["stages"][0].update(rung="a\0b"), "1 to 60 printable characters"),
        "description": (lambda one: one.update(description="a\0b"), "remove it"),
        "stages.0.study.name": (lambda one: one["stages"][0]["study"].update(name="a\0b"), "printable characters"),
        "stages.1.study.name": (lambda one: one["stages"][1]["study"].update(name=nested(400)), "leave it out"),
        "stages.0.study.tags.49": (
            lambda one: one["stages"][0]["study"].update(tags=["a"] * 49 + [nested(400)]),
            "put it in quotes",
        ),
        "baseline.proxy.depht": (lambda one: one["baseline"]["proxy"].update(depht=4), "did you mean depth?"),
        "baseline.proxy.train_tokens": (
            lambda one: one["baseline"]["proxy"].update(train_bytes=None, train_tokens=10_000),
            "give train_bytes",
        ),
        "baseline.proxy.corpus.path": (
            lambda one: one["baseline"]["proxy"]["corpus"].update(path="/etc/passwd"),
            "give a path below one of them",
        ),
    }
    for field, (change, remedy) in wrong.items():
        error = refusal(http, change)
        assert error["field"] == f"document.{field}"
        assert error["pointer"] == "#/document/" + field.replace(".", "/")
        assert remedy in error["remedy"], field
    neither = http.post("/v1/campaigns", json={"name": "x"}).json()
    assert "give one of them" in neither["detail"]
    unknown = http.post("/v1/campaigns", json={"preset": "../demo"}).json()
    assert unknown["errors"][0]["field"] == "preset"
    assert http.get("/v1/campaigns").json()["campaigns"] == []


@pytest.fixture
def formulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Formulary:
    monkeypatch.setenv("FORMULARY_HOME", str(tmp_path / "home"))

    def run(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert result.exit_code == status, (result.output, result.exception)
        return result

    return run


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch) -> PlantedSearch:
    """What runs trials in ``formulary run``; interrupted after some of them where a test says so."""
    planted = PlantedSearch()
    monkeypatch.setattr(runner, "run_study", partial(runner.run_study, search=planted))
    return planted


@pytest.fixture
def file(tmp_path: Path, corpus: Path) -> Path:
    path = tmp_path / "campaign.yaml"
    path.write_text(dump_spec_yaml(document()), encoding="utf-8")
    return path


def test_run_goes_on_where_it_was_interrupted_and_shows_stages_and_rungs(
    formulary: Formulary, search: PlantedSearch, file: Path
) -> None:
    search.left = 5
    interrupted = formulary("run", file, status=130)
    assert "campaign 1 is interrupted; go on with: formulary" in interrupted.stderr
    assert interrupted.stdout == ""
    ended = formulary("run", file)
    assert "continuing campaign 1" in ended.stderr
    assert ended.stdout.splitlines()[-1] == "1"
    shown = json.loads(formulary("campaign", "show", 1, "--json").stdout)
    assert [rung["runs"] for rung in shown["ladder"]["judgement"]["rungs"]] == [3, 3, 3]
    assert (shown["state"], [stage["ended"] for stage in shown["stages"]]) == ("COMPLETED", [3, 8, 9])
    text = formulary("campaign", "show", 1).stdout
    assert "tiny paper, COMPLETED" in text
    assert "vocabulary_size=400" in text
    assert formulary("campaign", "watch", 1).stderr.splitlines()[0].startswith("stage tokenizer, study 1 is COMPLETED")
    assert formulary("campaign", "list").stdout.splitlines()[-1].split()[:4] == ["1", "tiny", "paper", "COMPLETED"]


def test_a_campaign_that_failed_is_repaired_and_goes_on(
    formulary: Formulary, search: PlantedSearch, file: Path, tmp_path: Path
) -> None:
    repaired = tmp_path / "repaired.yaml"
    repaired.write_text(
        "{space: {depth: {type: categorical, choices: [4, 6]}}, sampler: {kind: grid}, max_trial_count: 2}"
    )
    search.loss = lambda settings: None if settings["depth"] == 6 else 1.0
    given = document()
    given["stages"][1]["study"]["space"] = {"depth": {"type": "int", "low": 6, "high": 6}}
    given["stages"][1]["study"]["max_trial_count"] = 2
    file.write_text(dump_spec_yaml(given), encoding="utf-8")
    failed = formulary("run", file, status=1)
    assert "campaign 1 is FAILED: study" in failed.stderr
    assert "campaign resume 1" in failed.stderr
    search.loss = lambda settings: float(settings["depth"])
    assert "campaign 1 is RUNNING" in formulary("campaign", "resume", 1, "--study", f"architecture={repaired}").stderr
    assert formulary("run", "campaign:1").stdout.splitlines()[-1] == "1"
    shown = json.loads(formulary("campaign", "show", 1, "--json").stdout)
    assert shown["stages"][1]["outcome"]["adopted"]["depth"] == 4


def test_campaigns_are_planned_created_and_controlled_from_the_command_line(formulary: Formulary, file: Path) -> None:
    planned = formulary("campaign", "create", file, "--plan").stdout
    assert planned.splitlines()[-1].startswith("tiny paper: 29 trials, ")
    assert formulary("run", file, "--plan").stdout == planned
    assert formulary("campaign", "create", file, "--name", "mine").stdout.splitlines() == ["1"]
    assert "campaign 1 is PAUSED" in formulary("campaign", "pause", 1).stderr
    assert "campaign 1 is RUNNING" in formulary("campaign", "resume", 1).stderr
    assert "campaign 1 is CANCELLED" in formulary("campaign", "cancel", 1).stderr
    assert "cancel it first" not in formulary("campaign", "delete", 1).stderr
    assert "there is no campaign 1" in formulary("campaign", "show", 1, status=1).stderr


def test_a_study_takes_no_options_of_campaigns(formulary: Formulary, spec: Path) -> None:
    assert "--plan: a study says this itself" in formulary("run", spec, "--plan", status=1).stderr
    assert "holds no stages" in formulary("campaign", "create", spec, status=1).stderr
    assert "is no id" in formulary("run", "campaign:x", status=1).stderr


def test_a_preset_is_a_campaign_whose_stages_stand_by_themselves(formulary: Formulary, search: PlantedSearch) -> None:
    assert "paper-cpu" in preset_names()
    assert "did you mean paper-cpu?" in formulary("run", "preset:paper-cp", status=1).stderr
    assert "has no stage 'tokeniser'" in formulary("run", "preset:paper-cpu/tokeniser", status=1).stderr
    assert "starts from the model" in formulary("run", "preset:paper-cpu/inheritance", status=1).stderr
    ended = formulary("run", "preset:paper-cpu/parent")
    assert ended.stdout.splitlines()[-1] == "1"


def test_a_corpus_is_taken_by_its_name() -> None:
    lines = campaign_request(Path("preset:paper-cpu"), Path("texts.jsonl.gz"), None)
    assert lines == {"preset": "paper-cpu", "corpus": {"kind": "jsonl", "path": "texts.jsonl.gz"}}
    assert campaign_request(Path("preset:x"), Path("texts"), "n")["corpus"] == {"kind": "text", "path": "texts"}

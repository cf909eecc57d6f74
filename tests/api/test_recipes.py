"""Recipes over HTTP, by command and on their page."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from api.cli import app as commands
from api.terminal.sparkline import sparkline
from studies import service
from studies.database import Database

PAPER = {"total_parameters": "1e9", "tokens": "1.6e12"}
TARGET = {"total_parameters": 20_000, "tokens": 30_000}


def test_the_papers_preset_gives_the_papers_config(http: httpx.Client) -> None:
    recipe = http.get("/v1/presets/paper/recipe", params=PAPER).raise_for_status().json()
    architecture = recipe["config"]["architecture"]
    assert 20 <= architecture["depth"] <= 22
    assert (architecture["width"], architecture["vocabulary_size"]) == (1792, 48_000)


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "total_parameters"),
    ({"tokens": 10**9}, "total_parameters"),
    ({**PAPER, "gpu": "abacus"}, "gpu"),
    ({**PAPER, "gpus": 1, "gpu_memory_gib": 8}, "gpus"),
    ({**PAPER, "max_batch_tokens": 100}, "max_batch_tokens"),
    ({**PAPER, "gpus": "1.5"}, "gpus"),
    ({**PAPER, "gpu_memory_gib": "nan"}, "gpu_memory_gib"),
    ({**PAPER, "tokens": "1e999"}, "tokens"),
    ({**PAPER, "tokens": "-1e9"}, "tokens"),
    ({**PAPER, "unknown": 1}, "unknown"),
    ({**PAPER, "trial": 1}, "trial"),
)


def test_refusals_name_their_field(http: httpx.Client) -> None:
    assert http.get("/v1/presets/other/recipe", params=PAPER).status_code == 404
    for query, field in REFUSED:
        answer = http.get("/v1/presets/paper/recipe", params=query)
        assert answer.status_code == 422, answer.text
        assert field in answer.text


def test_a_target_without_its_size_is_refused_although_gpus_are_named(http: httpx.Client, planted: int) -> None:
    answer = http.get(f"/v1/studies/{planted}/recipe", params={"gpus": 2})
    assert answer.status_code == 422
    assert "total_parameters" in answer.json()["detail"]


def test_a_studys_recipe_says_what_is_to_be_judged(http: httpx.Client, planted: int) -> None:
    query = {**TARGET, "gpus": 2, "gpu": "h100", "max_batch_tokens": 1024}
    recipe = http.get(f"/v1/studies/{planted}/recipe", params=query).raise_for_status().json()
    assert recipe["config"]["optimization"]["batch_tokens"] <= 1024
    assert {field["name"] for field in recipe["fields"] if field["range"]} == {
        item["name"] for item in recipe["regrets"]
    }
    rates = next(item for item in recipe["regrets"] if item["name"] == "optimization.learning_rate")
    assert rates["points"]
    assert recipe["divergence"]["runs"] > 0
    assert [law["name"] for law in recipe["laws"]] == ["this recipe", "step_law", "deepseek", "complete_p"]
    assert recipe["prediction"]["days"][0] > 0
    assert http.get(f"/v1/studies/{planted}/recipe").json()["regrets"] == []


def test_laws_may_be_those_of_several_studies(http: httpx.Client, planted: int) -> None:
    path = f"/v1/studies/{planted}/recipe"
    assert http.get(path, params={**TARGET, "with": [planted]}).status_code == 200
    assert http.get(path, params={**TARGET, "with": [999]}).status_code == 404
    assert http.get(path, params={**TARGET, "with": list(range(1, 30))}).status_code == 422


def test_an_export_keeps_the_whole_target(app: FastAPI, http: httpx.Client, planted: int) -> None:
    """What its executor will read makes the same recipe as asking for it."""
    asked = {**TARGET, "max_batch_tokens": 128, "with": [planted]}
    answer = http.post(f"/v1/studies/{planted}/exports", json={"format": "formulary", **asked})
    assert answer.status_code == 202, answer.text
    request = service.ExportRequest.model_validate(answer.json()["request"])
    with app.state.database.read_session() as session:
        recipe = service.recipe(session, "local", planted, request, service.Places(Path(), ()))
    assert recipe.config.optimization.batch_tokens == 128
    document = http.get(f"/v1/studies/{planted}/recipe", params=asked).json()
    assert recipe.model_dump(mode="json") == document


class TestPage:
    def test_of_a_study_has_its_form_and_asks_for_its_recipe(self, http: httpx.Client, planted: int) -> None:
        page = http.get(f"/studies/{planted}/recipe").raise_for_status().text
        assert f'"/v1/studies/{planted}/recipe"' in page
        assert "NVIDIA H100" in page
        assert f'href="/studies/{planted}/recipe"' in http.get(f"/studies/{planted}").text

    def test_of_a_preset(self, http: httpx.Client) -> None:
        assert '"/v1/presets/paper/recipe"' in http.get("/presets/paper").raise_for_status().text
        assert http.get("/presets/none").status_code == 404

    def test_of_an_imported_study_says_why_there_is_none(self, http: httpx.Client, study: int) -> None:
        page = http.get(f"/studies/{study}/recipe").raise_for_status().text
        assert "was imported" in page
        assert 'id="target"' not in page


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
        monkeypatch.setenv("FORMULARY_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("COLUMNS", "140")
        for name in ("FORMULARY_DATABASE_URL", "FORMULARY_CORPUS_ROOTS"):
            monkeypatch.delenv(name, raising=False)
        return lambda *arguments: CliRunner().invoke(commands, [str(argument) for argument in arguments])

    def test_of_the_preset(self, run: Callable[..., Any]) -> None:
        target = ("--preset", "paper", "--total-parameters", "1B", "--tokens", "1.6e12", "--gpus", 64, "--gpu", "a100")
        shown = run("recipe", *target)
        assert shown.exit_code == 0, shown.output
        for words in ("1,792", "48,000", "Step Law", "CompleteP", "days", "arXiv 2402.02791"):
            assert words in shown.stdout
        document = json.loads(run("recipe", *target, "--json").stdout)
        assert document["config"]["architecture"]["width"] == 1792

    def test_of_a_study(
        self, run: Callable[..., Any], spec: Path, tmp_path: Path, plant: Callable[[Database, int], None]
    ) -> None:
        study = run("study", "create", spec).stdout.splitlines()[-1]
        with Database(f"sqlite:///{tmp_path}/home/formulary.db") as database:
            plant(database, int(study))
        shown = run("recipe", study, "--total-parameters", "20k", "--tokens", "30000")
        assert shown.exit_code == 0, shown.output
        assert any(bar in shown.stdout for bar in "▂▃▄▅▆▇")
        assert "What being wrong costs" in shown.stdout
        assert "in total_parameters" in shown.stdout
        best = run("recipe", study)
        assert "left out, as in the trials" not in best.stdout
        assert re.search(r"trial \d", best.stdout)
        assert "What being wrong costs" not in best.stdout

    def test_bad_use(self, run: Callable[..., Any]) -> None:
        target = ("--total-parameters", "1B", "--tokens", "1B")
        for arguments, status in (
            ((), 1),
            (("3", "--preset", "paper"), 1),
            (("--preset", "other", *target), 1),
            (("--preset", "paper"), 1),
            (("--preset", "paper", "--total-parameters", "many", "--tokens", "1B"), 2),
            (("--preset", "paper", "--total-parameters", "1e99", "--tokens", "1B"), 2),
            (("--preset", "paper", *target, "--gpu", "abacus"), 1),
        ):
            result = run("recipe", *arguments)
            assert result.exit_code == status, result.output


def test_sparklines_go_from_the_lowest_bar_to_the_highest() -> None:
    assert sparkline([2.0, 1.0, 3.0]) == "▅▁█"
    assert sparkline([1.0, 1.0]) == "▁▁"

"""The whole way over HTTP: POST a spec, follow its events, read its formulas, download its export, train from it."""

import io
import json
import os
import re
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pytest

pytestmark = pytest.mark.slow

Until = Callable[[Callable[[], object]], None]
Service = Any
SPEC = {
    "version": 1,
    "name": "over HTTP",
    "space": {"depth": {"type": "categorical", "choices": [1, 2, 4]}},
    "inner": {"learning_rate": [4e-3, 1e-2]},
    "constraints": {"total_parameters": {"target": 60_000, "tolerance": 0.03, "solve_for": "width"}},
    "sampler": {"kind": "grid", "seed": 0},
    "proxy": {
        "corpus": {"kind": "builtin"},
        "train_bytes": 60_000,
        "sequence_length": 64,
        "vocabulary_size": 300,
        "head_dim": 8,
        "batch_tokens": 512,
        "validation_bytes": 10_000,
        "evaluations": 2,
    },
    "max_trial_count": 6,
    "parallel_trial_count": 2,
}


def post(http: httpx.Client, spec: dict[str, Any], key: str) -> httpx.Response:
    return http.post("/v1/studies", json=spec, headers={"Idempotency-Key": key}).raise_for_status()


def events(http: httpx.Client, study: int) -> Iterator[tuple[str, dict[str, Any]]]:
    with httpx_sse.connect_sse(http, "GET", f"/v1/studies/{study}/events") as source:
        for event in source.iter_sse():
            if event.data:
                yield event.event, json.loads(event.data)


def trials_of(http: httpx.Client, study: int) -> dict[int, dict[str, Any]]:
    listed = http.get(f"/v1/studies/{study}/trials").raise_for_status().json()["trials"]
    numbers = [trial["number"] for trial in listed]
    assert len(set(numbers)) == len(numbers)
    return {trial["number"]: trial for trial in listed}


def finished(http: httpx.Client, study: int) -> dict[int, dict[str, Any]]:
    return {number: trial for number, trial in trials_of(http, study).items() if trial["state"] == "COMPLETE"}


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as http:
        yield http


@pytest.fixture(scope="module")
def study(http: httpx.Client) -> int:
    """A study that was sent twice under one key, and has run to its end."""
    answers = [post(http, SPEC, "one study"), post(http, SPEC, "one study")]
    assert answers[0].status_code == 201
    assert answers[0].json()["id"] == answers[1].json()["id"]
    return int(answers[0].json()["id"])


@pytest.fixture(scope="module")
def followed(http: httpx.Client, study: int) -> list[tuple[str, dict[str, Any]]]:
    """All its events, from its start to its end."""
    return list(events(http, study))


def test_events_tell_all_of_a_study(http: httpx.Client, study: int, followed: list[tuple[str, dict[str, Any]]]) -> None:
    assert followed[-1] == ("end", {"state": "COMPLETED"})
    told = {data["number"]: data for kind, data in followed if kind == "trial"}
    assert told == trials_of(http, study)
    assert sorted(told) == list(range(6))
    assert {trial["state"] for trial in told.values()} == {"COMPLETE"}
    evaluated = {(data["number"], data["step"]) for kind, data in followed if kind == "value"}
    assert {number for number, _ in evaluated} == set(range(6))
    assert any(kind == "formulas" for kind, _ in followed)
    assert len(http.get("/v1/studies").json()["studies"]) == 1


@pytest.mark.usefixtures("followed")
def test_formulas_have_intervals_and_verdicts(http: httpx.Client, study: int) -> None:
    formulas = http.get(f"/v1/studies/{study}/formulas").json()["formulas"]
    (formula,) = [formula for formula in formulas if formula["kind"] == "depth_width" and not formula["variant"]]
    assert formula["verdict"] not in {"interim", "exploratory"}
    assert all(coefficient["level"] == 0.95 for coefficient in formula["coefficients"].values())


@pytest.mark.chaos
@pytest.mark.usefixtures("followed")
def test_its_export_is_downloaded_and_trains(
    service: Service, http: httpx.Client, study: int, until: Until, tmp_path: Path
) -> None:
    export = http.post(f"/v1/studies/{study}/exports", json={"format": "hf", "trial": "best"}).raise_for_status().json()
    path = f"/v1/operations/{export['operation_id']}"
    until(lambda: http.get(path).json()["state"] in {"SUCCEEDED", "FAILED"})
    assert http.get(path).json()["state"] == "SUCCEEDED"
    archive = http.get(f"/v1/studies/{study}/exports/{export['id']}/archive").raise_for_status().content
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tmp_path / "model", filter="data")
    output = service.run("pretrain", str(tmp_path / "model"), "--max-steps", "20")
    first, last = map(float, re.findall(r"loss (\d+\.\d+) -> (\d+\.\d+) over 20 steps", output)[0])
    assert last < first - 0.3


@pytest.mark.usefixtures("followed")
def test_commands_show_the_same(service: Service, http: httpx.Client, study: int) -> None:
    shown = json.loads(service.run("study", "show", str(study), "--json"))
    assert {trial["number"]: trial for trial in shown["trials"]} == trials_of(http, study)
    formulas = http.get(f"/v1/studies/{study}/formulas").json()["formulas"]
    assert json.loads(service.run("formulas", str(study), "--json")) == formulas
    service.run("export", str(study), "--format", "formulary", "--out", "written")
    assert (service.home / "written" / "formulary.json").is_file()


def test_a_study_goes_on_when_the_api_is_killed(service: Service, until: Until) -> None:
    """Nothing that has ended is lost, run again or changed, and the study ends without anybody's help."""
    with service.client() as http:
        study = post(http, SPEC | {"name": "killed"}, "another").json()["id"]
        until(lambda: finished(http, study))
        before = finished(http, study)
        service.kill()

    def stored() -> dict[int, dict[str, Any]]:
        shown = json.loads(service.run("study", "show", str(study), "--json"))
        return {trial["number"]: trial for trial in shown["trials"] if trial["state"] == "COMPLETE"}

    until(lambda: len(stored()) > len(before))  # nobody serves
    service.start()
    with service.client() as http:
        assert list(events(http, study))[-1] == ("end", {"state": "COMPLETED"})
        after = trials_of(http, study)
    assert sorted(after) == list(range(6))
    assert all(trial["state"] == "COMPLETE" and trial["attempts"] == 1 for trial in after.values())
    assert {number: after[number] for number in before} == before


def test_a_worker_that_is_killed_is_started_again(service: Service, until: Until) -> None:
    def workers() -> list[int]:
        return [pid for pid, command in service.processes().items() if " worker --parent " in command]

    until(workers)
    (pid,) = workers()
    os.kill(pid, signal.SIGKILL)
    with service.client() as http:
        spec = SPEC | {"name": "after the worker", "max_trial_count": 1, "parallel_trial_count": 1}
        study = post(http, spec, "a third").json()["id"]
        assert list(events(http, study))[-1] == ("end", {"state": "COMPLETED"})
    assert workers() != [pid]


def test_an_orderly_end_leaves_no_process_behind(service: Service) -> None:
    assert service.processes()
    service.stop()
    assert service.processes() == {}

"""Ask and tell over HTTP: the documented client, keys that are sent twice, and what the process loads for it."""

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.client import Client
from api.settings import Settings

ROOT = Path(__file__).parents[2]
SPEC: dict[str, Any] = {
    "name": "elsewhere",
    "execution": "external",
    "space": {"depth": {"type": "int", "low": 2, "high": 30}},
    "inner": {"learning_rate": [1e-3, 2e-3, 4e-3]},
    "proxy": {"train_bytes": 10_000, "vocabulary_size": 512, "width": 32, "head_dim": 16},
    "max_trial_count": 6,
}


@pytest.fixture
def external(http: httpx.Client) -> int:
    return int(http.post("/v1/studies", json=SPEC).raise_for_status().json()["id"])


def test_the_documented_client_brings_a_study_to_its_end(
    app: FastAPI, http: httpx.Client, external: int, serve: Callable[[FastAPI], str], settings: Settings, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (snippet,) = (block for block in blocks if "trials:suggest" in block)
    address = serve(create_app(settings, trusted=True))
    snippet = snippet.replace("http://127.0.0.1:8000", address).replace("/v1/studies/12", f"/v1/studies/{external}")
    (tmp_path / "client.py").write_text(snippet, encoding="utf-8")

    def train(parameters: dict[str, Any]) -> Any:
        yield 100, 3.0
        yield 200, 2.0 + parameters["depth"] / 100 + parameters["learning_rate"]

    runpy.run_path(str(tmp_path / "client.py"), {"KEY": "unused", "train": train})
    study = http.get(f"/v1/studies/{external}").json()
    assert study["state"] == "COMPLETED"
    found = http.get(f"/v1/studies/{external}/trials").json()["trials"]
    assert [(trial["number"], trial["state"], trial["client"]) for trial in found] == [
        (number, "COMPLETE", "gpu-7") for number in range(6)
    ]
    assert len(http.get(f"/v1/studies/{external}/trials/0/values").json()["values"]) == 2


def test_the_client_asks_and_tells(http: httpx.Client, external: int) -> None:
    client = Client(http, lambda _client, _operation: None)
    (trial,) = client.suggest_trials(external, "me")["trials"]
    assert client.report_values(external, trial["number"], 5, {"bits_per_byte": 3.0}) == {"stop": False, "reason": None}
    assert client.complete_trial(external, trial["number"], metrics={"bits_per_byte": 2.5})["state"] == "COMPLETE"
    assert client.suggest_trials(external, "me", 2)["study_state"] == "RUNNING"


def test_the_page_says_who_trains(http: httpx.Client, external: int) -> None:
    def page() -> str:
        return http.get(f"/studies/{external}", headers={"Accept": "text/html"}).text

    assert "No worker is alive" not in page()
    assert f"POST /v1/studies/{external}/trials:suggest" in page()
    http.post(f"/v1/studies/{external}/trials:suggest", json={"client_id": "<gpu>", "count": 2}).raise_for_status()
    assert "Clients now: &lt;gpu&gt; (2)." in page()


def test_a_request_under_one_key_allocates_once(http: httpx.Client, external: int) -> None:
    def ask(key: str, client: str) -> list[int]:
        answer = http.post(
            f"/v1/studies/{external}/trials:suggest", json={"client_id": client}, headers={"Idempotency-Key": key}
        )
        return [trial["number"] for trial in answer.raise_for_status().json()["trials"]]

    assert ask("one", "a") == ask("one", "a") == [0]
    http.post(f"/v1/studies/{external}/trials/0:complete", json={"metrics": {"bits_per_byte": 2.0}}).raise_for_status()
    assert ask("one", "a") == [0]
    assert ask("two", "a") == [1]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("trials:suggest", {}, 422, "client_id"),
        ("trials:suggest", {"client_id": ""}, 422, "client_id"),
        ("trials:suggest", {"client_id": "a\nb"}, 422, "client_id"),
        ("trials:suggest", {"client_id": "a", "count": 0}, 422, "count"),
        ("trials:suggest", {"client_id": "a", "count": 1001}, 422, "count"),
        ("trials:suggest", {"client_id": "a", "lease_seconds": 10**9}, 422, "lease_seconds"),
        ("trials/0:report", {"step": -1, "values": {}}, 422, "step"),
        ("trials/0:report", {"step": 1, "values": {"Bits Per Byte": 1.0}}, 422, "values"),
        ("trials/0:report", {"step": 1, "values": {"bits_per_byte": "low"}}, 422, "values"),
        ("trials/9:report", {"step": 1, "values": {"bits_per_byte": 1.0}}, 404, "has no trial 9"),
        ("trials/0:complete", {}, 422, "either metrics or failed is needed"),
        ("trials/0:complete", {"metrics": {"bits_per_byte": 1.0}, "failed": "no"}, 422, "give one of them"),
        ("trials/0:complete", {"metrics": {"validation_loss": 1.0}}, 422, "metrics.bits_per_byte"),
        ("trials/0:complete", {"metrics": {"bits_per_byte": 1.0}, "attributes": {"a": 10**400}}, 422, "attributes"),
        ("trials/0:complete", {"metrics": {"bits_per_byte": 1.0}, "attributes": {"a": [1]}}, 422, "attributes"),
        ("trials/0:complete", {"metrics": {"bits_per_byte": 1.0}, "attributes": {"origin": "x"}}, 422, "origin"),
    ],
)
def test_refuses_what_cannot_be_meant(
    http: httpx.Client, external: int, path: str, body: dict[str, Any], status: int, said: str
) -> None:
    http.post(f"/v1/studies/{external}/trials:suggest", json={"client_id": "a"}).raise_for_status()
    refused = http.post(f"/v1/studies/{external}/{path}", json=body)
    assert refused.status_code == status, refused.text
    assert said in refused.json()["detail"]


def test_numbers_that_json_lacks_are_refused(http: httpx.Client, external: int) -> None:
    http.post(f"/v1/studies/{external}/trials:suggest", json={"client_id": "a"}).raise_for_status()
    headers = {"Content-Type": "application/json"}
    body = '{"metrics": {"bits_per_byte": NaN}}'
    refused = http.post(f"/v1/studies/{external}/trials/0:complete", content=body, headers=headers)
    assert refused.status_code == 422


def test_a_study_that_is_trained_here_is_not_asked(http: httpx.Client) -> None:
    made = http.post("/v1/studies", json={**SPEC, "execution": "ray"}).json()["id"]
    refused = http.post(f"/v1/studies/{made}/trials:suggest", json={"client_id": "a"})
    assert refused.status_code == 409
    assert "execution: external" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sampler": {"kind": "gp"}, "purpose": "optimise"}, "sampler.kind"),
        ({"sampler": {"kind": "cascade", "family": "depth", "below": "gp"}, "purpose": "optimise"}, "sampler.below"),
        ({"resources_per_trial": {"stack": 3}}, "resources_per_trial.stack"),
    ],
)
def test_what_the_api_cannot_answer_is_refused_when_it_is_posted(
    http: httpx.Client, change: dict[str, Any], field: str
) -> None:
    refused = http.post("/v1/studies", json={**SPEC, **change})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field


ASK = """
import sys, httpx
from pathlib import Path
from api.app import create_app
from api.settings import load_settings
from api.transport.in_process import InProcessTransport
app = create_app(load_settings(home=Path(sys.argv[1]), environment={}), trusted=True)
with app.state.database as database, httpx.Client(transport=InProcessTransport(app), base_url="http://x") as http:
    database.migrate()
    for kind, count in (("random", 2), ("cmaes", 3), ("tpe", 12)):
        spec = {"name": "x", "execution": "external", "purpose": "optimise", "sampler": {"kind": kind},
                "space": {"depth": {"type": "int", "low": 2, "high": 30}}, "proxy": {"train_bytes": 10000},
                "max_trial_count": 40}
        study = http.post("/v1/studies", json=spec).json()["id"]
        for number in range(count):
            http.post(f"/v1/studies/{study}/trials:suggest", json={"client_id": "a"}).raise_for_status()
            body = {"metrics": {"bits_per_byte": 2.0 + number % 4}}
            http.post(f"/v1/studies/{study}/trials/{number}:complete", json=body).raise_for_status()
        print(kind, *sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "ray", "optuna"}))
"""


def test_the_process_loads_no_more_than_the_sampler_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ASK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["random", "cmaes", "tpe optuna"]

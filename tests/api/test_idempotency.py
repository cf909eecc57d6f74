"""A request that is sent twice with one Idempotency-Key takes effect once, whatever happens in between."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response
from sqlalchemy import text

from api.app import ROUTERS, create_app
from api.dependencies import OwnerGiven, WriteSession
from api.idempotency import IdempotentRoute
from api.settings import Settings
from api.transport.in_process import InProcessTransport
from studies import service
from studies.database import Database
from studies.service import answers

SPEC: dict[str, Any] = {
    "name": "tiny",
    "space": {"depth": {"type": "int", "low": 1, "high": 2}},
    "proxy": {"train_bytes": 10_000},
    "max_trial_count": 2,
}
KEY = {"Idempotency-Key": "one"}
KILLED_CLIENT = """
import os, signal, sys
from functools import partial
import httpx
from sqlalchemy import event
from sqlalchemy.orm import Session
from api.app import create_app
from api.transport.in_process import InProcessTransport
from api.settings import load_settings
from studies import service

url, moment = sys.argv[1:]
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if moment == "before_answer":
    service.store_answer = die
else:
    event.listen(Session, moment, die)
app = create_app(load_settings(database_url=url, environment={}), trusted=True)
with httpx.Client(transport=InProcessTransport(app), base_url="http://test") as http:
    http.post("/v1/studies", json=SPEC, headers=KEY)
"""


@pytest.fixture
def settings(settings: Settings, empty_url: str) -> Settings:
    return replace(settings, database_url=empty_url)


def names(http: httpx.Client) -> list[str]:
    return [study["name"] for study in http.get("/v1/studies").json()["studies"]]


def test_the_second_answer_is_the_first(http: httpx.Client) -> None:
    first, second = (http.post("/v1/studies", json=SPEC, headers=KEY) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first.headers["Content-Type"] == second.headers["Content-Type"]
    assert (first.headers.get("Idempotent-Replayed"), second.headers["Idempotent-Replayed"]) == (None, "true")
    assert names(http) == ["tiny"]


def test_every_change_can_be_repeated(http: httpx.Client, table: bytes) -> None:
    study = http.post("/v1/studies", json=SPEC).json()["id"]
    requests = {
        "pause": http.build_request("POST", f"/v1/studies/{study}:pause"),
        "clone": http.build_request("POST", f"/v1/studies/{study}:clone"),
        "import": http.build_request("POST", "/v1/studies:import?name=a&objective=bits_per_byte", content=table),
        "delete": http.build_request("DELETE", f"/v1/studies/{study}"),
    }
    requests["import"].headers["Content-Type"] = "text/csv"
    for key, request in requests.items():
        request.headers["Idempotency-Key"] = key
        first, second = http.send(request), http.send(request)
        assert first.is_success, first.text
        assert (second.status_code, second.content) == (first.status_code, first.content)
    assert names(http) == ["a", "tiny"]


def test_another_request_with_the_key_is_refused(http: httpx.Client) -> None:
    http.post("/v1/studies", json=SPEC, headers=KEY)
    for refused in (
        http.post("/v1/studies", json={**SPEC, "name": "other"}, headers=KEY),
        http.post("/v1/studies", json=SPEC, params={"continue_unfinished": True}, headers=KEY),
        http.post("/v1/studies/1:pause", headers=KEY),
    ):
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["field"] == "Idempotency-Key"
    assert names(http) == ["tiny"]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "ä".encode()])
def test_a_key_that_cannot_be_kept_is_refused(http: httpx.Client, key: str | bytes) -> None:
    refused = http.post("/v1/studies", json=SPEC, headers={b"Idempotency-Key": key})  # type: ignore[dict-item]
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "Idempotency-Key"
    assert names(http) == []


def test_a_refusal_is_not_kept(http: httpx.Client) -> None:
    assert http.post("/v1/studies", json={**SPEC, "max_trial_count": 0}, headers=KEY).status_code == 422
    assert http.post("/v1/studies", json=SPEC, headers=KEY).status_code == 201


def test_owners_do_not_share_keys(app: FastAPI, http: httpx.Client) -> None:
    http.post("/v1/studies", json=SPEC, headers=KEY)
    with app.state.database.session() as session:
        assert service.begin_answer(session, "ada", "one", "digest") is None


def test_an_answer_is_forgotten_after_a_day(app: FastAPI, http: httpx.Client) -> None:
    database: Database = app.state.database
    for _ in range(2):
        assert "Idempotent-Replayed" not in http.post("/v1/studies", json=SPEC, headers=KEY).headers
        with database.session() as session:
            past = datetime.now(UTC) - answers.KEPT - timedelta(minutes=1)
            session.execute(
                text("UPDATE idempotent_answers SET created_at = :past"), {"past": past.replace(tzinfo=None)}
            )
    http.post("/v1/studies", json=SPEC, headers={"Idempotency-Key": "two"})
    with database.read_session() as session:
        assert list(session.scalars(text("SELECT key FROM idempotent_answers"))) == ["two"]


def test_the_same_request_many_times_at_once(app: FastAPI, serve: Callable[[FastAPI], str]) -> None:
    address, clients = serve(app), 8
    barrier = threading.Barrier(clients)

    def send(_: int) -> httpx.Response:
        with httpx.Client(base_url=address, timeout=60) as client:
            client.get("/healthz")
            barrier.wait()
            return client.post("/v1/studies", json=SPEC, headers=KEY)

    with ThreadPoolExecutor(clients) as threads:
        sent = list(threads.map(send, range(clients)))
    assert {answer.status_code for answer in sent} == {201}
    assert len({answer.content for answer in sent}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in sent) == 1
    with httpx.Client(base_url=address) as client:
        assert names(client) == ["tiny"]


@pytest.mark.parametrize("moment", ["before_answer", "before_commit", "after_commit"])
def test_a_process_killed_in_the_middle_and_asked_again(app: FastAPI, http: httpx.Client, moment: str) -> None:
    code = f"SPEC = {SPEC!r}\nKEY = {KEY!r}\n{KILLED_CLIENT}"
    url = app.state.database.url.render_as_string(hide_password=False)
    killed = subprocess.run([sys.executable, "-c", code, url, moment], capture_output=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    committed = moment == "after_commit"
    assert names(http) == ["tiny"] * committed
    again = http.post("/v1/studies", json=SPEC, headers=KEY)
    assert again.status_code == 201
    assert ("Idempotent-Replayed" in again.headers) == committed
    assert names(http) == ["tiny"]


@pytest.fixture
def secretive(settings: Settings) -> Iterator[httpx.Client]:
    """An application that also answers with a secret, and with more than is kept."""
    app = create_app(settings, trusted=True)
    router = APIRouter(route_class=IdempotentRoute)

    @router.post("/secret")
    def tell(session: WriteSession, owner: OwnerGiven, response: Response) -> str:
        response.headers["Cache-Control"] = "no-store"
        return "fml_secret"

    @router.post("/long")
    def talk(session: WriteSession, owner: OwnerGiven) -> str:
        return "x" * answers.MAX_BODY_BYTES

    app.include_router(router)
    with (
        app.state.database as database,
        httpx.Client(transport=InProcessTransport(app), base_url="http://test") as http,
    ):
        database.migrate()
        yield http
        with database.read_session() as session:
            assert list(session.scalars(text("SELECT body FROM idempotent_answers"))) == [None]


@pytest.mark.parametrize("path", ["/secret", "/long"])
def test_a_secret_or_a_long_answer_is_not_kept_but_acts_once(secretive: httpx.Client, path: str) -> None:
    assert secretive.post(path, headers=KEY).status_code == 200
    again = secretive.post(path, headers=KEY)
    assert again.status_code == 409
    assert again.json()["errors"][0]["field"] == "Idempotency-Key"
    assert "secret" in again.json()["detail"]


def test_every_route_that_changes_something_stores_its_answer() -> None:
    changing = [route for router in ROUTERS for route in router.routes if route.methods != {"GET"}]  # type: ignore[attr-defined]
    assert changing
    assert [route.path for route in changing if not isinstance(route, IdempotentRoute)] == []  # type: ignore[attr-defined]

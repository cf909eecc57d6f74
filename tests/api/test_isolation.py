"""Every route of the application asks for a key, holds its role, and shows an owner's rows to nobody else."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.app import create_app
from api.authentication import SAFE_METHODS
from api.settings import Settings, load_settings
from api.transport.in_process import InProcessTransport
from studies import service
from studies.records import Role
from studies.repository import studies
from studies.workers.operations import execute_operation

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/static/plotly.min.js"),
    ("GET", "/static"),
}
"""A route that needs no key is added here on purpose, or it fails the tests."""
ADMINS = {("GET", "/v1/keys"), ("POST", "/v1/keys"), ("DELETE", "/v1/keys/{key_id}"), ("GET", "/ray-dashboard")}
SHARED = {
    ("GET", "/v1/workers"),
    ("GET", "/metrics"),
    ("GET", "/v1/presets/{preset}/recipe"),
    ("GET", "/presets/{preset}"),
}
"""What is nobody's: no row of an owner is in it."""
ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""What removes rows comes last."""
SECRET_NAME = "known-to-its-owner-only"
TABLE_PATH = "/v1/studies:import"
VALIDATION = {"sizes": [40_000, 80_000, 160_000], "tokens_per_parameter": 1}
CAMPAIGN = {
    "name": "in order",
    "baseline": {"proxy": {"train_bytes": 10_000}},
    "stages": [
        {
            "name": "depth",
            "adopt": ["depth"],
            "rung": "architecture",
            "study": {"space": {"depth": {"type": "int", "low": 1, "high": 2}}, "max_trial_count": 2},
        }
    ],
}
QUERIES: dict[str, dict[str, Any]] = {
    TABLE_PATH: {"name": "other", "objective": "bits_per_byte"},
    "/v1/studies/{study_id}/validation-plan": VALIDATION,
    "/v1/presets/{preset}/recipe": {"total_parameters": 10**9, "tokens": 10**11},
}
BODIES: dict[str, Any] = {
    "/v1/studies": {
        "name": "tiny",
        "space": {"depth": {"type": "int", "low": 1, "high": 2}},
        "proxy": {"train_bytes": 10_000},
        "max_trial_count": 2,
    },
    "/v1/campaigns": {"document": CAMPAIGN},
    "/v1/campaigns:plan": {"document": CAMPAIGN},
    "/v1/studies/{study_id}/exports": {"format": "formulary", "trial": "best"},
    "/v1/studies/{study_id}/validations": VALIDATION,
    "/v1/studies/{study_id}/trials:enqueue": {"parameters": {"depth": 1}},
    "/v1/studies/{study_id}:extend": {"trials": 1},
    "/v1/studies/{study_id}/trials:suggest": {"client_id": "gpu-7"},
    "/v1/studies/{study_id}/trials/{number}:report": {"step": 1, "values": {"bits_per_byte": 2.5}},
    "/v1/studies/{study_id}/trials/{number}:complete": {"failed": "it diverged"},
    "/v1/keys": {"role": "read", "name": "wall display"},
}
"""A body for each route that reads JSON; without one here, a new route fails the test of its owner."""

Route = tuple[str, str]
Ask = Callable[[Route, str | None], httpx.Response]


def routes_of(app: FastAPI) -> list[Route]:
    found = []
    for route in iter_route_contexts(app.routes):
        methods = getattr(route, "methods", None) or {"GET"}
        found += [(method, str(route.path)) for method in methods if method != "HEAD"]
    return found


with TemporaryDirectory() as folder:
    ROUTES = routes_of(create_app(load_settings(home=Path(folder), environment={})))
GUARDED = sorted(set(ROUTES) - PUBLIC, key=lambda route: (ORDER.index(route[0]), route))
OWNED = [route for route in GUARDED if route not in ADMINS | SHARED]


@pytest.fixture
def keys(app: FastAPI) -> dict[str, str]:
    """A key of each role of the owner of the study, and of somebody else."""
    with app.state.database.session() as session:
        return {
            f"{owner} {role}": service.create_key(session, owner, role, "test")[1]
            for owner in ("local", "stranger")
            for role in Role
        }


@pytest.fixture
def places(app: FastAPI, http: httpx.Client, planted: int, settings: Settings) -> dict[str, object]:
    """What stands in the paths: a study of the owner ``local``, with an export that is written."""
    export = http.post(f"/v1/studies/{planted}/exports", json={"format": "formulary", "trial": "best"}).json()
    execute_operation(app.state.database, export["operation_id"], settings.storage)
    validation = http.post(f"/v1/studies/{planted}/validations", json=VALIDATION).json()
    campaign = http.post("/v1/campaigns", json={"document": CAMPAIGN, "name": SECRET_NAME}).json()
    with app.state.database.session() as session:
        state = service.get_study(session, "local", planted).state
        studies.set_state(session, planted, state, name=SECRET_NAME)
    operation = export["operation_id"]
    return {
        "study_id": planted,
        "number": 0,
        "export_id": export["id"],
        "operation_id": operation,
        "validation_id": validation["id"],
        "campaign_id": campaign["id"],
        "key_id": 1,
        "verb": "stop",
        "action": "pause",
        "name": "history",
        "preset": "paper",
    }


@pytest.fixture
def guarded(settings: Settings) -> Iterator[httpx.Client]:
    app = create_app(settings)
    with (
        app.state.database,
        httpx.Client(transport=InProcessTransport(app), base_url="http://127.0.0.1:8000") as client,
    ):
        yield client


@pytest.fixture
def ask(guarded: httpx.Client, places: dict[str, object], table: bytes) -> Ask:
    """Send a route a request that is right in everything but perhaps its key."""

    def ask(route: Route, key: str | None) -> httpx.Response:
        method, path = route
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        body: dict[str, Any] = {"json": BODIES[path]} if method == "POST" and path in BODIES else {}
        if path == TABLE_PATH and method == "POST":
            headers["Content-Type"] = "text/csv"
            body = {"content": table}
        return guarded.request(method, path.format(**places), params=QUERIES.get(path), headers=headers, **body)

    return ask


def test_the_list_of_public_routes_is_up_to_date() -> None:
    assert set(ROUTES) >= PUBLIC | ADMINS | SHARED


def test_without_a_key_nothing_is_answered(ask: Ask) -> None:
    for route in GUARDED:
        for key in (None, "", "fml_" + "A" * 43):
            answer = ask(route, key)
            assert (route, answer.status_code) == (route, HTTPStatus.UNAUTHORIZED)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            (error,) = answer.json()["errors"]
            assert error["field"] == "Authorization"
            assert "formulary key create" in error["remedy"]


def test_a_key_to_read_changes_nothing(ask: Ask, keys: dict[str, str], http: httpx.Client) -> None:
    before = http.get("/v1/studies").json()
    for route in GUARDED:
        if route[0] not in SAFE_METHODS:
            answer = ask(route, keys["local read"])
            assert (route, answer.status_code) == (route, HTTPStatus.FORBIDDEN)
            assert "--role write" in answer.json()["errors"][0]["remedy"]
    assert http.get("/v1/studies").json() == before


def test_the_owner_gets_in(ask: Ask, keys: dict[str, str]) -> None:
    """Otherwise the refusals of the other tests would say nothing about keys."""
    refusals = {401, 403, 404, 405, 415, 422}
    for route in GUARDED:
        answer = ask(route, keys["local admin"])
        assert (route, answer.status_code in refusals) == (route, False), answer.text


def test_what_is_for_admins_needs_their_role(ask: Ask, keys: dict[str, str]) -> None:
    for route in ADMINS:
        answer = ask(route, keys["local write"])
        assert (route, answer.status_code) == (route, HTTPStatus.FORBIDDEN)
        assert "--role admin" in answer.json()["errors"][0]["remedy"]


@pytest.mark.parametrize("role", ["read", "write", "admin"])
def test_a_stranger_finds_nothing(ask: Ask, keys: dict[str, str], http: httpx.Client, role: str) -> None:
    before = http.get("/v1/studies").json()
    for route in OWNED:
        if role == "read" and route[0] not in SAFE_METHODS:
            continue
        answer = ask(route, keys[f"stranger {role}"])
        assert (route, SECRET_NAME in answer.text) == (route, False)
        if "{" in route[1]:
            assert (route, answer.status_code) == (route, HTTPStatus.NOT_FOUND), answer.text
        elif answer.headers["Content-Type"] == "application/json" and route[0] == "GET":
            assert (route, [value for value in answer.json().values() if value]) == (route, [])
    assert http.get("/v1/studies").json() == before


def test_a_stranger_who_is_admin_does_not_open_the_study_in_ray(
    guarded: httpx.Client, keys: dict[str, str], places: dict[str, object]
) -> None:
    headers = {"Authorization": f"Bearer {keys['stranger admin']}"}
    answer = guarded.get("/ray-dashboard", params={"study": places["study_id"]}, headers=headers)  # type: ignore[dict-item]
    assert answer.status_code == HTTPStatus.NOT_FOUND

"""The one commit is made before the response starts, by the way sessions are declared and not by habit."""

from collections.abc import Iterator

import anyio
import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from sqlalchemy import event
from sqlalchemy.orm import Session
from starlette.types import Message

from api.app import ROUTERS
from api.dependencies import open_read_session, open_session
from api.routes import health

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
WITHOUT_ROWS = {"/presets/{preset}/recipe", "/campaigns:plan"}
"""Routes that read published findings, or what they are sent, and no row of anybody."""
IMPORT = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/v1/studies:import",
    "raw_path": b"/v1/studies:import",
    "query_string": b"name=seen&objective=bits_per_byte",
    "headers": [(b"content-type", b"text/csv")],
    "root_path": "",
}


def test_the_row_is_stored_when_the_response_starts(app: FastAPI, table: bytes) -> None:
    stored: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": table, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 201
            with app.state.database.engine.connect() as other:
                stored.append(other.exec_driver_sql("SELECT count(*) FROM studies WHERE name = 'seen'").scalar_one())

    anyio.run(app, dict(IMPORT), receive, send)
    assert stored == [1]


def test_a_failed_commit_is_no_success(app: FastAPI, http: httpx.Client, study: int) -> None:
    def refuse(_: Session) -> None:
        raise RuntimeError("the disk is full")

    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    path = f"/v1/studies/{study}"
    scope = {**IMPORT, "method": "DELETE", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": []}
    event.listen(Session, "before_commit", refuse)
    try:
        with pytest.raises(RuntimeError, match="the disk is full"):
            anyio.run(app, scope, receive, send)
    finally:
        event.remove(Session, "before_commit", refuse)
    assert statuses[0] == 500
    assert http.get(path).status_code == 200


def test_what_fails_in_a_route_leaves_nothing_behind(http: httpx.Client, table: bytes) -> None:
    lines = table.splitlines()
    broken = b"\n".join([*lines, lines[-1].replace(b"0.008", b"much")])
    answer = http.post(
        "/v1/studies:import",
        params={"name": "x", "objective": "bits_per_byte"},
        content=broken,
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 422
    assert http.get("/v1/studies").json()["studies"] == []


def test_every_session_of_every_route_ends_before_the_response() -> None:
    scopes = {dependant.scope for route in ROUTES for dependant in sessions_of(route.dependant)}
    assert scopes == {"function"}


def test_routes_that_change_something_write_and_the_others_only_read() -> None:
    for route in ROUTES:
        if route.path in WITHOUT_ROWS:
            continue
        openers = {dependant.call for dependant in sessions_of(route.dependant)}
        assert openers == ({open_read_session} if route.methods == {"GET"} else {open_session}), route.path


def test_these_are_all_routes(app: FastAPI) -> None:
    operations = [operation for path in app.openapi()["paths"].values() for operation in path]
    assert len(ROUTES) + len(health.router.routes) == len(operations)


def sessions_of(dependant: Dependant) -> Iterator[Dependant]:
    """The dependencies below ``dependant`` that open a session."""
    for below in dependant.dependencies:
        if below.call in (open_session, open_read_session):
            yield below
        yield from sessions_of(below)

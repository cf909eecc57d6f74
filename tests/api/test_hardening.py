"""What hostile or mistaken requests get: a refusal that names the field and the remedy, and nothing is started."""

import tracemalloc
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from api.limits import MAX_DOCUMENT_BYTES, MAX_TABLE_BYTES
from api.middleware.response_headers import SECURITY_HEADERS
from api.settings import Settings
from studies.database import Database

HUNDRED_MB = 100 * 10**6
CHUNK = bytes(64 * 1024)
IMPORT = "/v1/studies:import?name=x&objective=bits_per_byte"
JSON = {"Content-Type": "application/json"}
CSV = {"Content-Type": "text/csv"}


def refusal(answer: httpx.Response, status: int, field: str) -> dict[str, Any]:
    """The one field that a problem names."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["detail"]
    assert error["remedy"]
    return dict(error)


def sent(app: FastAPI, path: str, headers: dict[str, str], size: int) -> tuple[int, int]:
    """POST ``size`` bytes in chunks; the status, and how many bytes were taken."""
    taken = 0
    statuses: list[int] = []

    async def receive() -> Message:
        nonlocal taken
        taken += len(CHUNK)
        return {"type": "http.request", "body": CHUNK, "more_body": taken < size}

    async def send(message: Message) -> None:
        statuses.append(message.get("status", 0))

    target, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "root_path": "",
    }
    anyio.run(app, scope, receive, send)
    return statuses[0], taken


@pytest.mark.parametrize(
    ("path", "kind", "limit"),
    [
        (IMPORT, CSV, MAX_TABLE_BYTES),
        ("/v1/studies", JSON, MAX_DOCUMENT_BYTES),
        ("/v1/keys", JSON, MAX_DOCUMENT_BYTES),
        ("/login", {"Content-Type": "application/x-www-form-urlencoded"}, MAX_DOCUMENT_BYTES),
    ],
)
def test_a_hundred_megabytes_are_not_held_in_memory(app: FastAPI, path: str, kind: dict[str, str], limit: int) -> None:
    tracemalloc.start()
    try:
        announced = sent(app, path, {**kind, "Content-Length": str(HUNDRED_MB)}, HUNDRED_MB)
        chunked = sent(app, path, {**kind, "Transfer-Encoding": "chunked"}, HUNDRED_MB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert announced == (413, 0)
    assert chunked[0] == 413
    assert chunked[1] <= limit + 2 * len(CHUNK)
    assert peak < limit + 30 * 2**20


def test_a_long_body_names_the_remedy(http: httpx.Client) -> None:
    error = refusal(http.post(IMPORT, content=bytes(MAX_TABLE_BYTES + 1), headers=CSV), 413, "body")
    assert str(MAX_TABLE_BYTES) in error["detail"]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"[1, 2",
        b'{"name": }',
        b"{'name': 1}",
        b"\xff\xfe\xfa",
        b'{"name": "\xff"}',
        b"\0",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b"nul",
    ],
    ids=lambda content: repr(content[:10]),
)
def test_broken_json_is_refused_by_name(http: httpx.Client, content: bytes) -> None:
    for path in ("/v1/studies", "/v1/keys"):
        error = refusal(http.post(path, content=content, headers=JSON), 422, "body")
        assert "JSON" in error["remedy"] or (content, error["remedy"]) == (b"", "add it")
    assert http.get("/v1/studies").json()["studies"] == []


@pytest.mark.parametrize(
    ("kind", "content"),
    [("multipart/form-data", b"--x\r\n"), ("application/x-www-form-urlencoded", b"a=1&" * 2000)],
    ids=["no-boundary", "many-fields"],
)
def test_a_broken_form_is_not_called_json(http: httpx.Client, kind: str, content: bytes) -> None:
    answer = http.post("/login", content=content, headers={"Content-Type": kind, "Origin": "http://test"})
    assert "form" in refusal(answer, 422, "body")["remedy"]


@pytest.mark.parametrize("document", [[], [1], "text", 7, None, True])
def test_json_of_another_shape_is_refused(http: httpx.Client, document: object) -> None:
    for path in ("/v1/studies", "/v1/keys"):
        assert http.post(path, json=document).status_code == 422
        assert http.post(path, json=document).json()["errors"][0]["remedy"]


def test_numbers_that_json_lacks_are_refused(http: httpx.Client) -> None:
    body = b'{"name": "a", "space": {"learning_rate": {"type": "float", "low": NaN, "high": Infinity}}}'
    answer = http.post("/v1/studies", content=body, headers=JSON)
    assert answer.status_code == 422
    assert "learning_rate" in answer.json()["errors"][0]["pointer"]


@pytest.mark.parametrize("given", [None, "text/plain", "application/x-www-form-urlencoded", "application/yaml", "x"])
@pytest.mark.parametrize(
    ("path", "wanted"), [("/v1/studies", "application/json"), ("/v1/keys", "application/json"), (IMPORT, "text/csv")]
)
def test_another_kind_of_body_is_refused(
    http: httpx.Client, table: bytes, path: str, wanted: str, given: str | None
) -> None:
    headers = {} if given is None else {"Content-Type": given}
    error = refusal(http.post(path, content=table, headers=headers), 415, "Content-Type")
    assert wanted in error["remedy"]
    assert http.get("/v1/studies").json()["studies"] == []


def test_parameters_of_the_kind_do_not_matter(http: httpx.Client, table: bytes) -> None:
    assert http.post(IMPORT, content=table, headers={"Content-Type": "Text/CSV; charset=utf-8"}).status_code == 201


def test_a_path_and_a_method_that_are_not_served_say_what_is(http: httpx.Client) -> None:
    assert "/openapi.json" in refusal(http.get("/v1/nothing"), 404, "path")["remedy"]
    answer = http.put("/v1/studies", json={})
    assert answer.headers["Allow"]
    assert answer.headers["Allow"] in refusal(answer, 405, "method")["remedy"]
    assert http.request("A" * 50, "/healthz").status_code == 405


def test_fields_of_queries_have_no_pointer_and_fields_of_bodies_have(http: httpx.Client, planted: int) -> None:
    recipe = http.get(f"/v1/studies/{planted}/recipe", params={"total_parameters": 10})
    assert recipe.status_code == 422
    assert "pointer" not in recipe.json()["errors"][0]
    assert "pointer" not in http.get("/v1/studies", params={"page_token": "x"}).json()["errors"][0]
    asked = http.post(f"/v1/studies/{planted}/exports", json={"format": "hf", "tokens": 10})
    assert asked.json()["errors"][0]["pointer"] == "#/total_parameters"
    missing = http.post(f"/v1/studies/{planted}/exports", json={})
    assert missing.json()["errors"] == [
        {"field": "format", "pointer": "#/format", "detail": "is missing", "remedy": "add it"}
    ]


@pytest.fixture
def broken(app: FastAPI) -> FastAPI:
    @app.get("/v1/broken")
    def fail() -> None:
        raise RuntimeError("secret detail")

    return app


def test_an_error_of_ours_tells_nothing_about_itself(broken: FastAPI) -> None:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": "/v1/broken", "headers": [], "query_string": b"", "root_path": ""}
    with pytest.raises(RuntimeError, match="secret detail"):
        anyio.run(broken, scope, receive, send)
    assert messages[0]["status"] == 500
    assert b"secret" not in messages[1]["body"]
    names = {name.decode() for name, _ in messages[0]["headers"]}
    assert {name.lower() for name in SECURITY_HEADERS} <= names


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("GET", "/v1/studies"),
        ("GET", "/v1/nothing"),
        ("POST", "/v1/studies"),
        ("PUT", "/v1/studies"),
        ("GET", "/login"),
        ("GET", "/static/formulary.css"),
        ("GET", "/static/nothing.css"),
    ],
)
def test_every_answer_tells_browsers_to_be_careful(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy  # only our own files, as default-src says
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] in ("no-store", "no-cache")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_nothing_that_a_page_loads_comes_from_elsewhere(http: httpx.Client) -> None:
    for path in ("/docs", "/redoc"):
        assert http.get(path).status_code == 404


def test_ready_when_the_database_is(http: httpx.Client, settings: Settings) -> None:
    assert http.get("/readyz").json() == {"status": "ok"}
    for file in settings.home.glob("formulary.db*"):
        file.write_bytes(b"no database at all " * 100)
    answer = http.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert http.get("/healthz").status_code == 200


def test_not_ready_with_another_schema(app: FastAPI, http: httpx.Client) -> None:
    database: Database = app.state.database
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    answer = http.get("/readyz")
    assert answer.status_code == 503
    assert "formulary migrate" in answer.json()["detail"]
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    assert "missing" in http.get("/readyz").json()["detail"]


def metrics(http: httpx.Client) -> dict[str, float]:
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    lines = (line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_metrics_count_requests_studies_and_workers(http: httpx.Client, study: int) -> None:
    for _ in range(3):
        http.get(f"/v1/studies/{study}")
    http.get("/v1/studies/999")
    for number in range(5):
        http.get(f"/v1/nothing/{number}")
        http.request(f"METHOD{number}", "/healthz")
    counted = metrics(http)
    requests = "formulary_http_requests_total"
    assert counted[f'{requests}{{method="GET",route="get_study",status="200"}}'] == 3
    assert counted[f'{requests}{{method="GET",route="get_study",status="404"}}'] == 1
    assert counted[f'{requests}{{method="GET",route="other",status="404"}}'] == 5
    assert counted['formulary_http_request_seconds_count{method="GET",route="get_study"}'] == 4
    assert counted['formulary_studies{state="COMPLETED"}'] == 1
    assert counted['formulary_studies{state="RUNNING"}'] == 0
    assert counted["formulary_workers"] == 0
    assert not [name for name in counted if "METHOD" in name or "nothing" in name]


def test_metrics_count_an_error_of_ours(broken: FastAPI, http: httpx.Client) -> None:
    with pytest.raises(RuntimeError):
        http.get("/v1/broken")
    assert metrics(http)['formulary_http_requests_total{method="GET",route="fail",status="500"}'] == 1

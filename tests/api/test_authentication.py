"""Keys and browsers: who gets in, how long, and by which headers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie
from pathlib import Path

import anyio
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from starlette.types import Message

from api.app import create_app
from api.authentication import Authentication
from api.browser import COOKIE
from api.settings import Settings, load_settings
from api.transport.in_process import InProcessTransport
from studies import service
from studies.database import Database, Session
from studies.errors import DatabaseUnusable
from studies.records import Key, Role

ORIGIN = "http://127.0.0.1:8000"
SPEC = {
    "name": "tiny",
    "space": {"depth": {"type": "int", "low": 1, "high": 2}},
    "proxy": {"train_bytes": 10_000},
    "max_trial_count": 2,
}


@pytest.fixture
def guarded(settings: Settings) -> Iterator[FastAPI]:
    app = create_app(settings)
    with app.state.database as database:
        database.migrate()
        yield app


@pytest.fixture
def database(guarded: FastAPI) -> Database:
    database: Database = guarded.state.database
    return database


@pytest.fixture
def client(guarded: FastAPI) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcessTransport(guarded), base_url=ORIGIN) as client:
        yield client


@pytest.fixture
def key(database: Database) -> str:
    with database.session() as session:
        return service.create_key(session, "ada", Role.ADMIN, "test")[1]


@pytest.fixture
def code(database: Database, key: str) -> str:
    with database.session() as session:
        found = service.find_key(session, key)
        assert found is not None
        return service.create_login_code(session, found.id)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_opens_with_any_spelling_of_the_scheme(client: httpx.Client, key: str, scheme: str) -> None:
    assert client.get("/v1/studies", headers={"Authorization": f"{scheme} {key}"}).status_code == 200


@pytest.mark.parametrize(
    "wrong", ["{key}", "Basic {key}", "Bearer", "Bearer {key}x", "Bearer \x7f", "Bearer ü", "Bearer " + "x" * 5000]
)
def test_anything_else_is_refused(client: httpx.Client, key: str, wrong: str) -> None:
    header = wrong.format(key=key).encode("latin-1")
    assert client.get("/v1/studies", headers=[(b"Authorization", header)]).status_code == 401


def test_an_empty_header_is_no_valid_key(client: httpx.Client) -> None:
    assert "not a valid key" in client.get("/v1/studies", headers={"Authorization": ""}).json()["detail"]


def test_a_stranger_is_not_told_how_long_a_body_may_be(client: httpx.Client) -> None:
    assert client.post("/v1/studies", content=b"", headers={"Content-Length": str(10**9)}).status_code == 401


def test_a_key_in_the_address_opens_nothing(client: httpx.Client, key: str) -> None:
    assert client.get("/v1/studies", params={"key": key, "access_token": key}).status_code == 401


def test_a_request_without_a_key_is_refused_before_its_body_is_read(guarded: FastAPI) -> None:
    read: list[Message] = []

    async def receive() -> Message:
        read.append({"type": "http.request", "body": b"", "more_body": True})
        return read[-1]

    async def ignore(message: Message) -> None: ...

    with httpx.Client(transport=InProcessTransport(_with_receive(guarded, receive)), base_url=ORIGIN) as client:
        assert client.post("/v1/studies", json={}).status_code == 401
    assert read == []


def _with_receive(app: FastAPI, receive: Callable[..., object]) -> Callable[..., object]:
    async def wrapped(scope: object, _: object, send: object) -> None:
        await app(scope, receive, send)  # type: ignore[arg-type]

    return wrapped


def test_a_revoked_key_and_its_browsers_are_out(client: httpx.Client, key: str, code: str) -> None:
    assert client.get("/login", params={"code": code}).status_code == 303
    made = client.post("/v1/keys", json={"role": "admin", "name": "second"}, headers=bearer(key)).json()
    keys = client.get("/v1/keys", headers=bearer(key)).json()["keys"]
    first = next(listed["id"] for listed in keys if listed["name"] == "test")
    assert client.get("/v1/studies").status_code == 200
    assert client.delete(f"/v1/keys/{first}", headers=bearer(made["key"])).status_code == 204
    assert client.get("/v1/studies").status_code == 401
    assert client.get("/v1/studies", headers=bearer(key)).status_code == 401


def test_a_key_is_shown_once_and_never_stored(client: httpx.Client, database: Database, key: str) -> None:
    answer = client.post("/v1/keys", json={"role": "write", "name": "laptop", "owner": "bob"}, headers=bearer(key))
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert (made["owner"], made["role"], made["name"]) == ("bob", "write", "laptop")
    listed = client.get("/v1/keys", headers=bearer(key)).text
    assert made["key"] not in listed
    assert made["prefix"] in listed
    with database.read_session() as session:
        for table in ("api_keys", "idempotent_answers", "web_sessions", "login_codes"):
            assert made["key"][8:] not in str(session.execute(text(f"SELECT * FROM {table}")).all())


def test_the_answer_with_a_key_is_not_kept_for_repetition(client: httpx.Client, database: Database, key: str) -> None:
    headers = {**bearer(key), "Idempotency-Key": "once"}
    request = {"role": "read", "name": "laptop"}
    first, second = (client.post("/v1/keys", json=request, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 409)
    assert [listed["name"] for listed in client.get("/v1/keys", headers=bearer(key)).json()["keys"]].count(
        "laptop"
    ) == 1
    with database.read_session() as session:
        stored = session.execute(text("SELECT * FROM idempotent_answers")).all()
    assert stored
    assert first.json()["key"] not in str(stored)


def test_a_key_without_owner_is_for_the_one_who_asks(client: httpx.Client, key: str) -> None:
    made = client.post("/v1/keys", json={"role": "read", "name": "wall"}, headers=bearer(key)).json()
    assert made["owner"] == "ada"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role": "root"}, "role"),
        ({"name": ""}, "name"),
        ({"name": "\x1b[31m"}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"owner": "a b"}, "owner"),
        ({"owner": "../up"}, "owner"),
        ({"owner": "o" * 201}, "owner"),
        ({"bogus": 1}, "bogus"),
    ],
)
def test_an_impossible_key_is_refused(client: httpx.Client, key: str, change: dict[str, object], field: str) -> None:
    answer = client.post("/v1/keys", json={"role": "read", "name": "a", **change}, headers=bearer(key))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["field"], error["pointer"]) == (field, f"#/{field}")
    assert error["remedy"]


def test_the_use_of_a_key_is_noted_once_a_minute(client: httpx.Client, database: Database, key: str) -> None:
    client.get("/v1/studies", headers=bearer(key))
    with database.session() as session:
        found = service.find_key(session, key)
        assert found is not None
        assert found.last_used_at is not None
        assert abs(found.last_used_at - datetime.now(UTC)) < timedelta(minutes=1)
        long_ago = found.last_used_at - timedelta(seconds=30)
        session.execute(text("UPDATE api_keys SET last_used_at = :at"), {"at": str(long_ago.replace(tzinfo=None))})
    client.get("/v1/studies", headers=bearer(key))
    with database.read_session() as session:
        noted = service.find_key(session, key)
        assert noted is not None
        assert noted.last_used_at == long_ago


def test_a_database_that_takes_no_writes_still_answers(
    client: httpx.Client, database: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(session: Session, key: Key) -> None:
        raise DatabaseUnusable("its disk is full")

    monkeypatch.setattr(service, "note_use", refuse)
    assert client.get("/v1/studies", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_a_code_opens_one_browser_once(client: httpx.Client, code: str) -> None:
    answer = client.get("/login", params={"code": code})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "strict", "/", "")
    assert int(cookie["max-age"]) == 7 * 24 * 3600
    assert client.get("/v1/studies").status_code == 200
    again = client.get("/login", params={"code": code})
    assert again.status_code == 401
    assert "formulary login-link" in again.text
    assert "Set-Cookie" not in again.headers


def test_behind_tls_the_cookie_is_secure(client: httpx.Client, code: str) -> None:
    answer = client.get("/login", params={"code": code}, headers={"X-Forwarded-Proto": "https"})
    assert SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]["secure"] is True


@pytest.mark.parametrize("code", ["", "x", "x" * 200, "\0", "%"])
def test_a_wrong_code_is_a_page_that_says_what_to_do(client: httpx.Client, code: str) -> None:
    answer = client.get("/login", params={"code": code})
    assert answer.status_code == 401
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "formulary login-link" in answer.text


def log_in(client: httpx.Client, key: str, origin: str | None = ORIGIN) -> httpx.Response:
    return client.post("/login", data={"key": key}, headers={} if origin is None else {"Origin": origin})


def test_a_pasted_key_logs_in(client: httpx.Client, key: str) -> None:
    assert client.get("/login").status_code == 200
    assert log_in(client, f" {key}\n").status_code == 303
    assert client.get("/v1/studies").status_code == 200
    assert log_in(client, "fml_wrong").status_code == 401


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://127.0.0.1:8000", f"{ORIGIN}1", "http://127.0.0.1"]
)
def test_no_other_site_logs_a_browser_in_or_uses_its_session(
    client: httpx.Client, key: str, origin: str | None
) -> None:
    assert log_in(client, key, origin).status_code == 403
    log_in(client, key)
    headers = {} if origin is None else {"Origin": origin}
    answer = client.post("/v1/studies", json=SPEC, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["field"] == "Origin"
    assert client.post("/logout", headers=headers).status_code == 403
    assert client.get("/v1/studies").json()["studies"] == []


def test_a_logged_in_browser_changes_things_from_the_own_page(client: httpx.Client, key: str) -> None:
    log_in(client, key)
    assert client.post("/v1/studies", json=SPEC, headers={"Origin": ORIGIN}).status_code == 201


def test_behind_tls_the_own_page_has_that_origin(client: httpx.Client, key: str) -> None:
    proxied = {"X-Forwarded-Proto": "https", "Origin": ORIGIN.replace("http:", "https:")}
    assert client.post("/login", data={"key": key}, headers=proxied).status_code == 303


def test_a_key_beats_the_cookie_and_needs_no_origin(client: httpx.Client, key: str) -> None:
    log_in(client, key)
    assert client.post("/v1/studies", json=SPEC, headers=bearer(key)).status_code == 201
    assert client.get("/v1/studies", headers=bearer("fml_wrong")).status_code == 401


def test_logging_out_ends_the_session(client: httpx.Client, key: str) -> None:
    log_in(client, key)
    cookie = client.cookies[COOKIE]
    answer = client.post("/logout", headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert COOKIE not in client.cookies
    assert client.get("/v1/studies", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == 401


def test_a_page_sends_a_stranger_to_the_log_in(client: httpx.Client) -> None:
    wants_page = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/", "/studies/1", "/nothing"):
        answer = client.get(path, headers=wants_page)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert client.get("/").status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("[::1]:8000", 200),
        ("192.0.2.7:8000", 200),
        ("formulary.example", 200),
        ("formulary.example.:443", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example@127.0.0.1", 421),
        ("127.0.0.1/evil.example", 421),
        ("[::1].evil.example", 421),
        ("", 421),
    ],
)
def test_only_names_of_this_server_are_answered(tmp_path: Path, host: str, status: int) -> None:
    settings = load_settings(home=tmp_path, environment={"FORMULARY_ALLOWED_HOSTS": "Formulary.example, other.example"})
    with httpx.Client(transport=InProcessTransport(create_app(settings)), base_url=ORIGIN) as client:
        answer = client.get("/healthz", headers={"Host": host})
    assert answer.status_code == status, answer.text
    if status == 421:
        (error,) = answer.json()["errors"]
        assert error["field"] == "Host"
        assert "FORMULARY_ALLOWED_HOSTS" in error["remedy"]


def test_a_trusted_application_needs_no_key(http: httpx.Client) -> None:
    assert http.get("/v1/keys").status_code == 200


def test_a_websocket_does_not_pass_by_the_authentication(guarded: FastAPI) -> None:
    passed: list[object] = []

    async def inner(scope: object, receive: object, send: object) -> None:
        passed.append(scope)

    async def silent(*_: object) -> Message:
        return {}

    guard = Authentication(inner, guarded.state.database, trusted=False)
    scope = {"type": "websocket", "path": "/v1/studies", "headers": []}
    with pytest.raises(AssertionError):
        anyio.run(guard, scope, silent, silent)
    assert passed == []

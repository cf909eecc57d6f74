"""The redirect into Ray's dashboard: for admins, with Ray's cookie, to an address that the browser reaches."""

from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from ray._private.authentication.authentication_constants import AUTHENTICATION_TOKEN_COOKIE_NAME

from api.app import create_app
from api.settings import Settings, load_settings
from api.transport.in_process import InProcessTransport
from studies import service
from studies.database import Database
from studies.records import Role
from studies.repository import studies, workers

TOKEN = "a-token-of-ray"
LOCAL = "http://127.0.0.1:8266"
Get = Callable[..., httpx.Response]


@pytest.fixture
def get(app: FastAPI, settings: Settings) -> Get:
    """Ask for the redirect, through a host name."""
    settings.ray_token_file.parent.mkdir(parents=True)
    settings.ray_token_file.write_text(f"{TOKEN}\n")

    def get(host: str = "127.0.0.1:8000", **params: int) -> httpx.Response:
        with httpx.Client(transport=InProcessTransport(app), base_url=f"http://{host}") as client:
            return client.get("/ray-dashboard", params=params)

    return get


@pytest.fixture
def submitted(app: FastAPI, study: int) -> Callable[[str], int]:
    """Note for the study that a worker has submitted it, and where."""

    def submit(address: str) -> int:
        with app.state.database.session() as session:
            job = {"job_id": "study-1-run-Ab_c", "dashboard_url": address}
            studies.set_state(session, study, service.get_study(session, "local", study).state, **job)
        return study

    return submit


def cookie(answer: httpx.Response) -> str | None:
    found = SimpleCookie(answer.headers.get("Set-Cookie", "")).get(AUTHENTICATION_TOKEN_COOKIE_NAME)
    return None if found is None else found.value


@pytest.mark.parametrize(("host", "name"), [("127.0.0.1:8000", "127.0.0.1"), ("localhost", "localhost")])
def test_the_page_of_the_job_on_the_host_of_the_request(
    get: Get, submitted: Callable[[str], int], host: str, name: str
) -> None:
    answer = get(host, study=submitted(f"{LOCAL}/"))
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"http://{name}:8266/#/jobs/study-1-run-Ab_c"
    assert answer.headers["Cache-Control"] == "no-store"
    assert cookie(answer) == TOKEN
    flags = {flag.strip().lower() for flag in answer.headers["Set-Cookie"].split(";")[1:]}
    assert flags == {"httponly", "samesite=strict", "path=/"}


def test_the_jobs_of_the_latest_worker_without_a_study(app: FastAPI, get: Get) -> None:
    assert "no worker runs" in get().json()["detail"]
    with app.state.database.session() as session:
        workers.say_alive(session, "first", "http://127.0.0.1:1111")
        workers.say_alive(session, "second", None)
    assert get().headers["Location"] == "http://127.0.0.1:1111/#/jobs"


def test_a_study_that_ray_does_not_know(get: Get, study: int) -> None:
    answer = get(study=study)
    assert answer.status_code == 409
    assert "no worker has given it to Ray yet" in answer.json()["detail"]
    assert get(study=study + 1).status_code == 404
    assert get(study=0).status_code == 422


def test_a_loopback_dashboard_is_not_promised_to_other_machines(get: Get, submitted: Callable[[str], int]) -> None:
    answer = get("gpu-box:8000", study=submitted(LOCAL))
    assert answer.status_code == 409
    assert "ssh -L 8266:127.0.0.1:8266" in answer.json()["detail"]
    assert "Set-Cookie" not in answer.headers


def test_the_token_goes_to_no_other_host(get: Get, submitted: Callable[[str], int]) -> None:
    answer = get(study=submitted("http://ray-head:8265"))
    assert answer.headers["Location"] == "http://ray-head:8265/#/jobs/study-1-run-Ab_c"
    assert "Set-Cookie" not in answer.headers


def test_https_keeps_the_cookie_to_https(get: Get, submitted: Callable[[str], int]) -> None:
    answer = get("ray.example", study=submitted("https://ray.example/dashboard"))
    assert answer.headers["Location"] == "https://ray.example/dashboard/#/jobs/study-1-run-Ab_c"
    assert "secure" in answer.headers["Set-Cookie"].lower()


@pytest.mark.parametrize("source", ["RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"])
def test_a_given_token_and_a_given_link(tmp_path: Path, source: str) -> None:
    (tmp_path / "token").write_text(TOKEN)
    given = TOKEN if source == "RAY_AUTH_TOKEN" else str(tmp_path / "token")
    environment = {source: given, "FORMULARY_RAY_DASHBOARD_LINK": "http://localhost:9999"}
    settings = load_settings(tmp_path, environment=environment)
    assert TOKEN not in repr(settings)
    app = create_app(settings, trusted=True)
    with app.state.database as database:
        prepare(database)
        with httpx.Client(transport=InProcessTransport(app), base_url="http://127.0.0.1:8000") as client:
            answer = client.get("/ray-dashboard")
    assert answer.headers["Location"] == "http://127.0.0.1:9999/#/jobs"
    assert cookie(answer) == TOKEN


def prepare(database: Database) -> None:
    database.migrate()
    with database.session() as session:
        workers.say_alive(session, "one", "http://ray-head:8265")


def test_without_a_token_ray_asks_for_it_itself(app: FastAPI, get: Get, settings: Settings) -> None:
    settings.ray_token_file.unlink()
    prepare(app.state.database)
    assert "Set-Cookie" not in get("ray-head").headers


@pytest.mark.parametrize(("role", "status"), [(Role.ADMIN, 303), (Role.WRITE, 403), (Role.READ, 403), (None, 401)])
def test_only_admins(settings: Settings, role: Role | None, status: int) -> None:
    app = create_app(settings)
    with app.state.database as database:
        prepare(database)
        headers = {}
        if role is not None:
            with database.session() as session:
                _, key = service.create_key(session, "ada", role, "test")
            headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(transport=InProcessTransport(app), base_url="http://127.0.0.1") as client:
            answer = client.get("/ray-dashboard", headers=headers)
    assert answer.status_code == status
    assert (status == 303) == ("Location" in answer.headers)

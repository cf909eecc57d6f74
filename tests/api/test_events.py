"""The events of a study over real HTTP: all of it, resumed, while it changes, and when it or its watcher goes."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import httpx_sse
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.events import POLL_S, EventStreams
from api.settings import Settings
from search.events import AttemptLost, TrialCompleted, TrialProgress, TrialStarted
from studies import service
from studies.database import Database
from studies.recorder import Recorder
from studies.records import Role, StudyState
from studies.repository import leases, studies
from studies.repository.leases import Lease
from studies.tables import StudyRow

SPEC: dict[str, Any] = {
    "name": "tiny",
    "space": {"depth": {"type": "int", "low": 1, "high": 2}},
    "proxy": {"train_bytes": 10_000},
    "max_trial_count": 2,
}
DEADLINE_S = 60.0
Seen = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def address(app: FastAPI, serve: Callable[[FastAPI], str]) -> str:
    return serve(app)


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=DEADLINE_S) as client:
        yield client


@pytest.fixture
def database(app: FastAPI) -> Database:
    database: Database = app.state.database
    return database


class Driver:
    """Writes what the driver of a search would."""

    def __init__(self, database: Database, study_id: int) -> None:
        self.database = database
        self.study_id = study_id
        with database.session() as session:
            self.lease: Lease = leases.claim(session, StudyRow, study_id, "host:1:0:m", timedelta(hours=1))
            studies.set_state(session, study_id, StudyState.RUNNING)
        self.record = Recorder(database, self.lease)

    def start(self, number: int) -> None:
        self.record(TrialStarted(number, {"depth": number + 1}))

    def report(self, number: int, step: int, value: float) -> None:
        self.record(TrialProgress(number, step, {"bits_per_byte": value}))
        self.record.flush()

    def complete(self, number: int, value: float) -> None:
        self.record(TrialCompleted(number, {"bits_per_byte": value}, {}))

    def finish(self) -> None:
        with self.database.session() as session:
            leases.release(session, self.lease)
            studies.set_state(session, self.study_id, StudyState.COMPLETED, finished_at=datetime.now(UTC))


@pytest.fixture
def driver(client: httpx.Client, database: Database) -> Driver:
    return Driver(database, client.post("/v1/studies", json=SPEC).json()["id"])


def read(client: httpx.Client, study: int, last_id: str | None = None, until: str = "end") -> tuple[Seen, str]:
    """The events up to one of kind ``until``, and the last id."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    seen: Seen = []
    with httpx_sse.connect_sse(client, "GET", f"/v1/studies/{study}/events", headers=headers) as source:
        assert source.response.status_code == 200
        for sent in source.iter_sse():
            seen.append((sent.event, json.loads(sent.data)))
            last_id = sent.id or last_id
            if sent.event == until:
                break
    return seen, last_id or ""


def of_kind(seen: Seen, kind: str) -> list[dict[str, Any]]:
    return [data for event, data in seen if event == kind]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_imported_study_is_sent_whole(client: httpx.Client, table: bytes) -> None:
    parameters = {"name": "sweep", "objective": "bits_per_byte"}
    study = client.post(
        "/v1/studies:import", params=parameters, content=table, headers={"Content-Type": "text/csv"}
    ).json()["id"]
    seen, _ = read(client, study)
    assert [trial["number"] for trial in of_kind(seen, "trial")] == list(range(48))
    assert of_kind(seen, "trial") == client.get(f"/v1/studies/{study}/trials").json()["trials"]
    (shown,) = of_kind(seen, "study")
    assert shown == {**client.get(f"/v1/studies/{study}").json(), "trial_counts": {"COMPLETE": 48}}
    assert of_kind(seen, "formulas") == [{"revision": 1}]
    assert seen[-1] == ("end", {"state": "COMPLETED"})


def test_pages_hold_every_trial_and_value_once(
    client: httpx.Client, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.service.watching.TRIALS_A_PAGE", 2)
    monkeypatch.setattr("studies.service.watching.VALUES_A_PAGE", 3)
    for number in range(5):
        driver.start(number)
        for step in range(4):
            driver.report(number, step, 3.0 - step)
    driver.finish()
    seen, _ = read(client, driver.study_id)
    assert [trial["number"] for trial in of_kind(seen, "trial")] == [*range(5)]
    places = [(value["number"], value["step"]) for value in of_kind(seen, "value")]
    assert places == [(number, step) for number in range(5) for step in range(4)]


def test_changes_are_sent_as_they_happen(client: httpx.Client, driver: Driver) -> None:
    path = f"/v1/studies/{driver.study_id}/events"
    with httpx_sse.connect_sse(client, "GET", path) as source:
        events = ((sent.event, json.loads(sent.data)) for sent in source.iter_sse())

        def until(kind: str) -> dict[str, Any]:
            return next(data for event, data in events if event == kind)

        assert until("study")["trial_counts"] == {}
        driver.start(0)
        assert (until("trial")["state"], until("study")["trial_counts"]) == ("RUNNING", {"RUNNING": 1})
        driver.report(0, 10, 2.5)
        assert until("value") == {"number": 0, "step": 10, "metric": "bits_per_byte", "value": 2.5}
        driver.complete(0, 2.25)
        assert until("trial")["metrics"] == {"bits_per_byte": 2.25}
        driver.finish()
        assert until("end") == {"state": "COMPLETED"}
        assert next(events, None) is None


def test_goes_on_from_the_last_id(client: httpx.Client, driver: Driver) -> None:
    driver.start(0)
    driver.report(0, 10, 2.5)
    first, last_id = read(client, driver.study_id, until="study")
    assert (len(of_kind(first, "trial")), len(of_kind(first, "value"))) == (1, 1)
    driver.report(0, 20, 2.4)
    driver.start(1)
    driver.finish()
    second, end_id = read(client, driver.study_id, last_id)
    assert [trial["number"] for trial in of_kind(second, "trial")] == [1]
    assert [value["step"] for value in of_kind(second, "value")] == [20]
    third, _ = read(client, driver.study_id, end_id)
    assert (of_kind(third, "trial"), of_kind(third, "value"), third[-1][0]) == ([], [], "end")
    by_query = client.get(f"/v1/studies/{driver.study_id}/events", params={"last_event_id": last_id}).text
    assert by_query.count("event: trial") == 1


def test_only_the_last_event_of_a_round_bears_an_id(client: httpx.Client, driver: Driver) -> None:
    driver.start(0)
    driver.start(1)
    driver.finish()
    text = client.get(f"/v1/studies/{driver.study_id}/events").text
    with_id = [block for block in text.split("\r\n\r\n") if "id: " in block]
    assert [block.count("event: study") for block in with_id] == [1]


def test_an_id_that_is_not_reached_yet_counts_as_none(client: httpx.Client, driver: Driver) -> None:
    driver.start(0)
    driver.finish()
    assert len(of_kind(read(client, driver.study_id, "1000000")[0], "trial")) == 1


@pytest.mark.parametrize("last_id", ["-1", "x", str(2**31)])
def test_an_id_that_is_none_is_refused(client: httpx.Client, driver: Driver, last_id: str) -> None:
    refused = client.get(f"/v1/studies/{driver.study_id}/events", headers={"Last-Event-ID": last_id})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "Last-Event-ID")


def test_a_trial_that_lost_its_worker_comes_with_another_attempt_and_new_values(
    client: httpx.Client, driver: Driver
) -> None:
    driver.start(0)
    driver.report(0, 10, 9.0)
    _, last_id = read(client, driver.study_id, until="study")
    driver.record(AttemptLost(0, "the node is gone"))
    lost, last_id = read(client, driver.study_id, last_id, until="study")
    assert [(trial["state"], trial["attempts"]) for trial in of_kind(lost, "trial")] == [("WAITING", 1)]
    driver.start(0)
    driver.report(0, 10, 2.0)
    rerun, last_id = read(client, driver.study_id, last_id, until="study")
    assert [(trial["state"], trial["attempts"]) for trial in of_kind(rerun, "trial")] == [("RUNNING", 2)]
    assert [value["value"] for value in of_kind(rerun, "value")] == [2.0]


def test_a_cancelled_study_ends_when_its_driver_has_let_go(client: httpx.Client, driver: Driver) -> None:
    driver.start(0)
    client.post(f"/v1/studies/{driver.study_id}:cancel")
    with httpx_sse.connect_sse(client, "GET", f"/v1/studies/{driver.study_id}/events") as source:
        events = ((sent.event, json.loads(sent.data)) for sent in source.iter_sse())
        assert next(data for event, data in events if event == "study")["state"] == "CANCELLED"
        driver.complete(0, 2.0)
        assert next(events)[1]["state"] == "COMPLETE"
        with driver.database.session() as session:
            leases.release(session, driver.lease)
        assert [event for event, _ in events][-1] == "end"


def test_a_study_that_is_deleted_meanwhile_ends(client: httpx.Client, driver: Driver) -> None:
    with driver.database.session() as session:
        leases.release(session, driver.lease)
    with httpx_sse.connect_sse(client, "GET", f"/v1/studies/{driver.study_id}/events") as source:
        events = source.iter_sse()
        assert next(events).event == "study"
        assert client.delete(f"/v1/studies/{driver.study_id}").status_code == 204
        end = next(events)
        assert (end.event, end.data) == ("end", '{"state":"DELETED"}')


def test_there_are_no_events_of_a_study_that_is_not_there(client: httpx.Client) -> None:
    assert client.get("/v1/studies/7/events").status_code == 404


def test_a_watcher_that_goes_away_leaves_nothing_behind(app: FastAPI, client: httpx.Client, driver: Driver) -> None:
    streams: EventStreams = app.state.event_streams
    with httpx_sse.connect_sse(client, "GET", f"/v1/studies/{driver.study_id}/events") as source:
        events = source.iter_sse()  # which closes the connection when it is collected
        assert next(events).event == "study"
        assert streams.open == 1
    eventually(lambda: streams.open == 0)
    driver.start(0)
    assert client.get(f"/v1/studies/{driver.study_id}/trials/0").json()["state"] == "RUNNING"


@contextmanager
def watchers(client: httpx.Client, study: int, count: int) -> Iterator[None]:
    """``count`` streams that have had their first round, and read on in threads."""
    begun, leave = threading.Barrier(count + 1), threading.Event()

    def watch() -> None:
        with (
            httpx.Client(base_url=client.base_url, timeout=DEADLINE_S) as own,
            httpx_sse.connect_sse(own, "GET", f"/v1/studies/{study}/events") as source,
        ):
            events = source.iter_sse()  # which closes the connection when it is collected
            assert next(events).event == "study"
            begun.wait(DEADLINE_S)
            leave.wait(DEADLINE_S)

    threads = [threading.Thread(target=watch) for _ in range(count)]
    for thread in threads:
        thread.start()
    begun.wait(DEADLINE_S)
    try:
        yield
    finally:
        leave.set()
        for thread in threads:
            thread.join()


def test_streams_hold_no_connection_and_other_requests_go_on(
    app: FastAPI, client: httpx.Client, driver: Driver
) -> None:
    streams: EventStreams = app.state.event_streams
    pool: Any = driver.database.engine.pool
    most_used = 0
    with watchers(client, driver.study_id, 40):
        assert streams.open == 40
        deadline = time.monotonic() + 4 * POLL_S
        while time.monotonic() < deadline:
            most_used = max(most_used, pool.checkedout())
            time.sleep(0.001)
        assert most_used <= 2
        eventually(lambda: pool.checkedout() == 0)
        assert [client.get("/v1/studies").status_code for _ in range(20)] == [200] * 20
        driver.start(0)
    eventually(lambda: streams.open == 0)


def test_a_stream_too_many_is_refused_for_now(app: FastAPI, client: httpx.Client, driver: Driver) -> None:
    app.state.event_streams = EventStreams(driver.database, limit=2)
    with (
        watchers(client, driver.study_id, 2),
        client.stream("GET", f"/v1/studies/{driver.study_id}/events") as refused,
    ):
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert "close one" in json.loads(refused.read())["detail"]


def test_a_stream_ends_with_its_key(
    settings: Settings, serve: Callable[[FastAPI], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.events.CHECK_KEY_EVERY_S", 0.0)
    app = create_app(settings)
    database: Database = app.state.database
    database.migrate()
    with database.session() as session:
        key, text = service.create_key(session, "ada", Role.WRITE, "watcher")
    headers = {"Authorization": f"Bearer {text}"}
    with httpx.Client(base_url=serve(app), headers=headers, timeout=DEADLINE_S) as client:
        study = client.post("/v1/studies", json=SPEC).json()["id"]
        with httpx_sse.connect_sse(client, "GET", f"/v1/studies/{study}/events") as source:
            events = source.iter_sse()
            assert next(events).event == "study"
            with database.session() as session:
                service.revoke_key(session, key.id)
            assert next(events, None) is None
        assert client.get(f"/v1/studies/{study}/events").status_code == 401


SERVER = """
import sys
import uvicorn
from pathlib import Path
from api.app import create_app
from api.settings import load_settings

app = create_app(load_settings(home=Path(sys.argv[1]), environment={}), trusted=True)
uvicorn.run(app, fd=int(sys.argv[2]), log_level="error")
"""


def test_a_server_that_is_told_to_end_ends_its_streams(driver: Driver, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = [sys.executable, "-c", SERVER, str(settings.home), str(listener.fileno())]
        with (
            subprocess.Popen(arguments, pass_fds=[listener.fileno()], stderr=subprocess.PIPE, text=True) as server,
            httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=DEADLINE_S) as client,
            httpx_sse.connect_sse(client, "GET", f"/v1/studies/{driver.study_id}/events") as source,
        ):
            events = source.iter_sse()
            assert next(events).event == "study"
            server.terminate()
            assert next(events, None) is None
            _, complaints = server.communicate(timeout=DEADLINE_S)
    assert complaints == ""

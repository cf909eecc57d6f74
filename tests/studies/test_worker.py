"""The worker's loop, with a Ray that is a stand-in: what it does when Ray or the database fails, and at its end."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from model.errors import InvalidInput
from studies import service
from studies.database import Database
from studies.errors import RayUnavailable
from studies.process_identity import this_process
from studies.records import Study, StudyState
from studies.repository import leases, workers
from studies.tables import StudyRow
from studies.workers import dispatch, operation_queue, worker
from studies.workers.dispatch import Run
from studies.workers.worker import GivenRay, Worker

DEADLINE_S = 60.0


class Ray:
    """Ready, or not, at an address that may change."""

    owned = True

    def __init__(self) -> None:
        self.address = "http://127.0.0.1:1"
        self.failure: Exception | None = None
        self.closed = False

    def ready(self) -> str:
        if self.failure is not None:
            raise self.failure
        return self.address

    def close(self) -> None:
        self.closed = True


class Jobs:
    """Takes every job but the first ``refusals``."""

    def __init__(self, refusals: int = 0) -> None:
        self.dashboard_url = ""
        self.refusals = refusals
        self.submitted: list[tuple[str, str]] = []
        self.on_stop: Callable[[], None] = lambda: None

    def connect(self, address: str) -> "Jobs":
        self.dashboard_url = address
        return self

    def submit(self, run: Run, home: Path) -> None:
        if self.refusals:
            self.refusals -= 1
            raise RayUnavailable("Ray takes no job")
        self.submitted.append((run.job_id, self.dashboard_url))

    def stop_all(self) -> None:
        self.on_stop()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "POLL_S", 0.01)
    monkeypatch.setattr(dispatch, "FIRST_PAUSE", dispatch.NO_PAUSE)


@pytest.fixture
def study(database: Database, document: dict[str, Any], roots: list[Path]) -> Study:
    with database.session() as session:
        return service.create_study(session, "ada", document, roots)


@contextmanager
def working(database: Database, folder: Path, ray: Ray | GivenRay, jobs: Jobs) -> Iterator[threading.Event]:
    """A worker in a thread, from the entry of the block to its end."""
    stop = threading.Event()
    one = Worker(database, folder, folder / "storage", ray, jobs.connect, 4)
    thread = threading.Thread(target=one.run, args=(stop,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(database: Database) -> list[tuple[str, str | None]]:
    with database.read_session() as session:
        return [(found.id, found.dashboard_url) for found in workers.list_alive(session)]


def test_a_worker_submits_what_waits_and_says_that_it_lives(database: Database, study: Study, tmp_path: Path) -> None:
    ray, jobs = Ray(), Jobs()
    with working(database, tmp_path, ray, jobs):
        wait_until(lambda: jobs.submitted == [(f"study-{study.id}-run-1", ray.address)])
        assert alive(database) == [(this_process(), ray.address)]
    assert alive(database) == []
    assert ray.closed


def test_a_refused_job_is_submitted_again(database: Database, study: Study, tmp_path: Path) -> None:
    jobs = Jobs(refusals=2)
    with working(database, tmp_path, Ray(), jobs):
        wait_until(lambda: bool(jobs.submitted))
    assert [job for job, _ in jobs.submitted] == [f"study-{study.id}-run-3"]


def test_a_ray_that_moved_is_spoken_to_where_it_is(database: Database, study: Study, tmp_path: Path) -> None:
    ray, jobs = Ray(), Jobs()
    ray.failure = RayUnavailable("Ray does not start")
    with working(database, tmp_path, ray, jobs):
        ray.address, ray.failure = "http://127.0.0.1:2", None
        wait_until(lambda: bool(jobs.submitted))
    assert jobs.submitted == [(f"study-{study.id}-run-1", "http://127.0.0.1:2")]


def test_a_worker_that_is_set_up_wrongly_ends(database: Database, tmp_path: Path) -> None:
    ray = Ray()
    ray.failure = InvalidInput("--database-url", "another", "use another home")
    with pytest.raises(InvalidInput):
        Worker(database, tmp_path, tmp_path, ray, Jobs().connect, 4).run(threading.Event())
    assert ray.closed


def test_a_ray_of_its_own_ends_after_its_drivers(database: Database, study: Study, tmp_path: Path) -> None:
    """The worker waits for a driver that leaves its study queued, and the job is not held against the study."""
    jobs = Jobs()
    with working(database, tmp_path, Ray(), jobs) as stop:
        wait_until(lambda: bool(jobs.submitted))
        with database.session() as session:
            lease = leases.take_over(session, StudyRow, study.id, "host:1:1:here", dispatch.HANDOVER_TTL, 1)

        def let_go() -> None:
            with database.session() as session:
                leases.release(session, lease)

        jobs.on_stop = lambda: threading.Timer(0.3, let_go).start()
        stop.set()
    with database.read_session() as session:
        assert not leases.is_held(session, StudyRow, study.id)
        assert session.get_one(StudyRow, study.id).finished_at_submission is None


def test_drivers_at_a_given_ray_go_on_without_the_worker(database: Database, study: Study, tmp_path: Path) -> None:
    jobs = Jobs()
    stopped: list[bool] = []
    jobs.on_stop = lambda: stopped.append(True)
    with working(database, tmp_path, GivenRay("http://head:8265"), jobs):
        wait_until(lambda: bool(jobs.submitted))
    assert stopped == []
    with database.read_session() as session:
        assert service.get_study(session, "ada", study.id).state is StudyState.QUEUED
        assert leases.is_held(session, StudyRow, study.id)


def test_operations_are_executed_beside(
    database: Database, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    monkeypatch.setattr(worker, "execute_next", lambda *_: bool(done.set()))
    with working(database, tmp_path, Ray(), Jobs()):
        assert done.wait(DEADLINE_S)
    assert operation_queue.execute_next(database, tmp_path) is False

"""A home's Ray is started once, found again, and ended whole. Stand-ins take the place of ``ray start``."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from model.errors import InvalidInput
from studies.errors import RayUnavailable
from studies.process_identity import has_ended, process, session_of, this_process
from studies.workers import ray_node
from studies.workers.ray_node import LocalRay, Node

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are known to have ended on Linux only")
DATABASE = "sqlite:////somewhere/formulary.db"
LISTENER = """
import socket, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(300)
"""


@contextmanager
def living() -> Iterator[str]:
    """The identity of a process that lives as long as the block."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield process(child.pid)


def local(folder: Path, database: str = DATABASE) -> LocalRay:
    return LocalRay(folder / "ray", database, {})


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listens as the dashboard does, and has a child."""
    monkeypatch.setattr(ray_node, "_command", lambda _, port: [sys.executable, "-c", LISTENER, str(port)])


def note(folder: Path, ray: str, owner: str) -> Path:
    """The record of a Ray that was started before."""
    record = local(folder).record
    record.parent.mkdir(parents=True)
    digest = ray_node.hashlib.sha256(DATABASE.encode()).hexdigest()
    record.write_text(json.dumps(asdict(Node(ray, owner, "http://127.0.0.1:9", str(folder / "temp"), digest))))
    return record


def test_a_ray_is_started_once_and_ended_whole(tmp_path: Path, stand_in: None) -> None:
    ray, other = local(tmp_path), local(tmp_path)
    try:
        address = ray.ready()
        assert [ray.ready(), other.ready(), ray.owned] == [address, address, True]
        node = Node(**json.loads(ray.record.read_text()))
        assert Path(node.folder).stat().st_mode & 0o777 == 0o700
        deadline = time.monotonic() + 60
        while len(session_of(node.process)) < 2:
            assert time.monotonic() < deadline
    finally:
        ray.close()
    assert has_ended(node.process)
    assert session_of(node.process) == []
    assert not Path(node.folder).exists()


def test_a_ray_that_ended_is_followed_by_another(tmp_path: Path, stand_in: None) -> None:
    ray = local(tmp_path)
    try:
        ray.ready()
        first = Node(**json.loads(ray.record.read_text()))
        ray_node._end(first)
        ray.ready()
        assert Node(**json.loads(ray.record.read_text())).process != first.process
    finally:
        ray.close()


def test_a_ray_goes_to_the_worker_that_is_left(tmp_path: Path) -> None:
    with living() as running:
        with living() as first_worker:
            record = note(tmp_path, running, first_worker)
            ray = local(tmp_path)
            assert (ray.ready(), ray.owned) == ("http://127.0.0.1:9", False)
        assert (ray.ready(), ray.owned) == ("http://127.0.0.1:9", True)
        assert json.loads(record.read_text())["owner"] == this_process()


def test_a_ray_of_another_worker_is_not_ended(tmp_path: Path) -> None:
    with living() as running, living() as worker:
        note(tmp_path, running, worker)
        ray = local(tmp_path)
        ray.ready()
        ray.close()
        assert not has_ended(running)


def test_a_ray_serves_one_database(tmp_path: Path) -> None:
    with living() as running:
        note(tmp_path, running, running)
        with pytest.raises(InvalidInput, match="--database-url: the Ray of this home works for another database"):
            local(tmp_path, "postgresql://host/other").ready()


def test_a_ray_that_does_not_start_names_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_node, "_command", lambda *_: [sys.executable, "-c", "print('no room')"])
    with pytest.raises(RayUnavailable, match=str(tmp_path / "ray" / "start.log")):
        local(tmp_path).ready()
    assert (tmp_path / "ray" / "start.log").read_text() == "no room\n"

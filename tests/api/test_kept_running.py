"""The keeper of the worker: starts it again when it ends, ends it in order, and kills it where that does not help."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.server import logs, worker
from api.server.worker import kept_running

DEADLINE_S = 60.0
DIES = "import os; print(os.getpid(), flush=True); raise SystemExit(3)"
LIVES = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {LIVES}"
CHATTY = "import time\nfor n in range(10**9): print(n, 'x' * 100, flush=True); time.sleep(0.001)"


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(worker, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(worker, "FIRST_PAUSE_S", 0.02)
    return tmp_path / "worker.log"


def pids(log_file: Path) -> list[int]:
    return [int(line) for line in log_file.read_text().split()] if log_file.exists() else []


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_ends_is_started_again(log_file: Path) -> None:
    with kept_running([sys.executable, "-c", DIES], os.environ, log_file):
        wait_for(lambda: len(pids(log_file)) >= 3)
    assert len(set(pids(log_file))) == len(pids(log_file))
    assert not any(map(runs, pids(log_file)))


@pytest.mark.parametrize("code", [LIVES, STUBBORN], ids=["obedient", "stubborn"])
def test_the_process_ends_with_the_block(log_file: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(worker, "STOP_S", 0.5 if code == STUBBORN else DEADLINE_S)
    with kept_running([sys.executable, "-c", code], os.environ, log_file):
        wait_for(lambda: len(pids(log_file)) == 1)
        assert runs(pids(log_file)[0])
    assert not runs(pids(log_file)[0])


def test_the_log_never_grows_beyond_its_size(log_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 10_000)
    older = log_file.with_name("worker.log.1")
    with kept_running([sys.executable, "-c", CHATTY], os.environ, log_file):
        wait_for(older.exists)
        set_aside = older.read_bytes()
        wait_for(lambda: older.read_bytes()[:10] != set_aside[:10])
    assert b"\0" not in log_file.read_bytes() + older.read_bytes()
    assert log_file.stat().st_size < 100_000

"""A service with its worker and its Ray, on a home and ports of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

DEADLINE_S = 300.0
"""When something that does not happen is given up."""


class Service:
    """``formulary serve`` on one home, started, killed and started again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        variables = {"FORMULARY_HOME": str(home), "FORMULARY_CORPUS_ROOTS": "", "FORMULARY_DATABASE_URL": ""}
        self.environment = os.environ | variables
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = self.command("serve", "--port", "0")
        with (self.home / "serve.txt").open("ab") as output:
            self.process = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)
        wait_until(lambda: self._is_ready() or not self._runs())
        assert self._runs(), (self.home / "serve.txt").read_text()

    def kill(self) -> None:
        """End the API process, and nothing else, as nobody expects it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End everything in order."""
        if self.process is not None and self._runs():
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(DEADLINE_S)

    def client(self) -> httpx.Client:
        record = self._record()
        headers = {"Authorization": f"Bearer {record['key']}"}
        return httpx.Client(base_url=record["base_url"], headers=headers, timeout=60)

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("formulary")), *arguments]

    def run(self, *arguments: str) -> str:
        """Run a command on the home; its standard output."""
        result = subprocess.run(
            self.command(*arguments), env=self.environment, cwd=self.home, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def processes(self) -> dict[int, str]:
        """Everything that was started for this home and lives: pid and command line."""
        return processes_of_home(self.home)

    def _record(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "server.json").read_text()))

    def _runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def _is_ready(self) -> bool:
        if self.process is None or not (self.home / "server.json").exists():
            return False
        return f":{self.process.pid}:" in self._record()["process"]


def processes_of_home(home: Path) -> dict[int, str]:
    """Everything that was started for a home and lives: pid and command line."""
    mark = f"FORMULARY_HOME={home}\0".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdecimal() and mark in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, UnicodeDecodeError):
            continue  # it has just ended, or is somebody else's
    return found


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Waits for a condition."""
    return wait_until


@pytest.fixture
def processes_of() -> Callable[[Path], dict[int, str]]:
    """Finds what was started for a home and lives."""
    return processes_of_home


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("home"))
    try:
        service.start()
        yield service
    finally:
        service.stop()
        for pid in service.processes():
            os.kill(pid, signal.SIGKILL)

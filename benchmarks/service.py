"""A service of its own for a measurement: ``formulary serve`` on an empty home, and a client of it."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

DEADLINE_S = 120.0
"""When a service that does not come up is given up."""
LOOK_EVERY_S = 0.01


def start(home: Path, *options: str) -> "subprocess.Popen[bytes]":
    """Start a service on a free port; its output goes to ``<home>/serve.txt``."""
    command = [str(Path(sys.executable).with_name("formulary")), "serve", "--home", str(home), "--port", "0", *options]
    with (home / "serve.txt").open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def stop(server: "subprocess.Popen[bytes]") -> None:
    """End a service as Ctrl-C does."""
    server.terminate()
    server.wait()


def wait_until_ready(home: Path, server: "subprocess.Popen[bytes]") -> httpx.Client:
    """Wait for the service's first good answer; a client that has its key."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and server.poll() is None:
        client = _client(home, server.pid)
        if client is not None and _is_ready(client):
            return client
        time.sleep(LOOK_EVERY_S)
    raise RuntimeError(f"the service did not start: {(home / 'serve.txt').read_text()}")


def _client(home: Path, pid: int) -> httpx.Client | None:
    try:
        written = json.loads((home / "server.json").read_text())
    except FileNotFoundError:
        return None
    if f":{pid}:" not in written["process"]:  # of a service before
        return None
    headers = {"Authorization": f"Bearer {written['key']}"}
    return httpx.Client(base_url=written["base_url"], headers=headers, timeout=DEADLINE_S)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


@contextmanager
def running_service() -> Iterator[httpx.Client]:
    """A service with its worker and its Ray, from the entry of the block to its end."""
    with tempfile.TemporaryDirectory(prefix="formulary-bench-") as name:
        home = Path(name)
        server = start(home)
        try:
            with closing(wait_until_ready(home, server)) as client:
                yield client
        finally:
            stop(server)


def create_study(client: httpx.Client, spec: Mapping[str, Any]) -> int:
    """POST a study; its id."""
    answer = client.post("/v1/studies", json=spec)
    answer.raise_for_status()
    return int(answer.json()["id"])


def wait_for(client: httpx.Client, study_id: int, state: str) -> None:
    """Wait until the study is in ``state``."""
    while (study := client.get(f"/v1/studies/{study_id}").json())["state"] != state:
        if study["state"] in {"FAILED", "CANCELLED"}:
            raise RuntimeError(f"study {study_id} is {study['state']}: {study['error']}")
        time.sleep(0.2)

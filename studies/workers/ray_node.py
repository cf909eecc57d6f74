"""A Ray of this machine: started beside a worker, found again by the next one. Ray itself is not imported.

The process is ``ray start --head --block``, which ends all of its Ray when one part of it dies, and whose parts end
with it. It outlives a worker that is killed. Its record, ``node.json``, says where it is and which worker ends it.
"""

import hashlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from json import dumps, loads
from pathlib import Path

from filelock import FileLock

from model.errors import InvalidInput
from studies.errors import RayUnavailable
from studies.process_identity import has_ended, process, runs_here, session_of, this_process

LOOPBACK = "127.0.0.1"
USUAL_DASHBOARD_PORT = 8265
OBJECT_STORE_BYTES = 128 * 2**20
"""Shared memory of a local Ray; results are small (assumed)."""
START_S = 120.0
"""Longest wait for the dashboard (assumed; 3.5 s measured on two idle cores)."""
STOP_S = 20.0
"""Longest wait for Ray to end before it is killed (assumed; 1 s measured)."""
LONGEST_TEMP = 30
"""Characters of a folder for temporary files: below it, Ray's socket names must stay under 108 (derived)."""

_ENVIRONMENT = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_JOB_STOP_WAIT_TIME_S": "10",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What Ray reads, beside its token and addresses."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Node:
    """A local Ray, as its record has it."""

    process: str
    """Identity of ``ray start`` (studies.process_identity)."""
    owner: str
    """Identity of the worker that ends it."""
    dashboard_url: str
    folder: str
    """Ray's temporary folder, with its logs."""
    database: str
    """Digest of the address of the database that its drivers write to."""


class LocalRay:
    """The Ray of one home.

    Args:
        folder: where its record is.
        database_url: the database that its drivers write to.
        environment: that of ``ray start``, and so of its drivers and trials: their secrets are in it.
    """

    def __init__(self, folder: Path, database_url: str, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._database = hashlib.sha256(database_url.encode()).hexdigest()
        self._environment = environment
        self._node: Node | None = None

    @property
    def record(self) -> Path:
        """The file that says where the Ray is."""
        return self._folder / "node.json"

    @property
    def owned(self) -> bool:
        """Whether a Ray runs that ends with this process."""
        return self._node is not None and self._node.owner == this_process()

    def ready(self) -> str:
        """The dashboard address of the running Ray, which is started when there is none.

        Raises:
            RayUnavailable: it does not start.
            InvalidInput: the Ray of this home works for another database.
        """
        if self._node is None or has_ended(self._node.process) or has_ended(self._node.owner):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(self._folder / "lock"):
                self._node = self._found() or self._started()
        return self._node.dashboard_url

    def close(self) -> None:
        """End the Ray if it is owned."""
        if self._node is not None and self.owned:
            _end(self._node)
            self._node = None

    def _found(self) -> Node | None:
        """The Ray that runs already; it is adopted if the worker that was to end it has ended."""
        node = self._read()
        if node is None or not runs_here(node.process):
            return None
        if node.database != self._database:
            raise InvalidInput("--database-url", "the Ray of this home works for another database", "use another home")
        if has_ended(node.owner):
            log.info("going on with the Ray at %s", node.dashboard_url)
            node = replace(node, owner=this_process())
            self._write(node)
        return node

    def _started(self) -> Node:
        before = self._read()
        if before is not None:
            _end(before)
        folder = tempfile.mkdtemp(prefix="formulary-ray-", dir=_short_folder())
        log_file = self._folder / "start.log"
        with _held_port(USUAL_DASHBOARD_PORT) as port, log_file.open("wb") as output:
            child = subprocess.Popen(
                _command(folder, port),
                cwd=folder,
                env={**self._environment, **_ENVIRONMENT, **_metric_ports()},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            node = Node(process(child.pid), this_process(), f"http://{LOOPBACK}:{port}", folder, self._database)
            self._write(node)
            _wait_for_dashboard(child, port, log_file)
        log.info("started a Ray at %s", node.dashboard_url)
        return node

    def _read(self) -> Node | None:
        try:
            return Node(**loads(self.record.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def _write(self, node: Node) -> None:
        """Replace the record whole."""
        scratch = self.record.with_suffix(".partial")
        scratch.write_text(dumps(asdict(node)), encoding="utf-8")
        scratch.replace(self.record)


def _command(folder: str, port: int) -> list[str]:
    options: dict[str, str | int] = {
        "--temp-dir": f"{folder}/ray",
        "--port": 0,
        "--dashboard-host": LOOPBACK,
        "--dashboard-port": port,
        "--dashboard-agent-listen-port": 0,
        "--dashboard-agent-grpc-port": 0,
        "--metrics-export-port": 0,
        "--ray-client-server-port": _free_port(),
        "--min-worker-port": 0,
        "--max-worker-port": 0,
        "--num-cpus": len(os.sched_getaffinity(0)),
        "--object-store-memory": OBJECT_STORE_BYTES,
        "--include-log-monitor": "false",
    }
    ray = [sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"]
    return [*ray, *(f"{name}={value}" for name, value in options.items())]


def _metric_ports() -> dict[str, str]:
    """Ports that Ray fixes unless told, and that the Rays of one machine would fight over."""
    return {name: str(_free_port()) for name in ("AUTOSCALER_METRIC_PORT", "DASHBOARD_METRIC_PORT")}


def _free_port() -> int:
    """A free port of the loopback interface."""
    with _held_port(0) as port:
        return port


@contextmanager
def _held_port(wanted: int) -> Iterator[int]:
    """``wanted`` if it is free, else another free port of the loopback interface, held for a server that is starting.

    It stays bound without listening, so that nobody else finds it free meanwhile. A server that allows addresses to be
    reused, as Ray does, binds it all the same.
    """
    with socket.socket() as holder:
        try:
            holder.bind((LOOPBACK, wanted))
        except OSError:
            holder.bind((LOOPBACK, 0))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port: int = holder.getsockname()[1]
        yield port


def _short_folder() -> str:
    """The folder for temporary files, unless its name is too long for Ray's sockets."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= LONGEST_TEMP else "/tmp"


def _wait_for_dashboard(child: subprocess.Popen[bytes], port: int, log_file: Path) -> None:
    def answers() -> bool:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            return False
        return True

    if _becomes_true(lambda: answers() or child.poll() is not None, START_S) and child.poll() is None:
        return
    child.kill()
    child.wait()
    raise RayUnavailable(f"Ray does not start; see {log_file}")


def _end(node: Node) -> None:
    """End ``ray start`` and with it its Ray; what is left of that is killed, and its folder removed."""
    if not has_ended(node.process):
        os.kill(int(node.process.split(":")[1]), signal.SIGTERM)
        _becomes_true(lambda: has_ended(node.process), STOP_S)
    for pid in session_of(node.process):
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(pid, signal.SIGKILL)
    _becomes_true(lambda: not session_of(node.process), STOP_S)
    shutil.rmtree(node.folder, ignore_errors=True)


def _becomes_true(condition: Callable[[], bool], longest_s: float) -> bool:
    deadline = time.monotonic() + longest_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True

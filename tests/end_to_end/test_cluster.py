"""The processes of docker-compose.yml on one machine, each with the command and the environment that the file gives it:
PostgreSQL, the service, two workers, a Ray head, two Ray nodes that train; and a study across them."""

import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from pgserver.postgres_server import get_server

from api.server.record import ServerRecord

pytestmark = pytest.mark.chaos

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(
    re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
)["services"]
PROGRAMS = Path(sys.executable).parent
DEADLINE_S = 240.0
STOP_S = 30.0

SPEC = {
    "name": "across-nodes",
    "space": {"depth": {"type": "categorical", "choices": [1, 2, 4]}},
    "inner": {"learning_rate": [4e-3, 1e-2]},
    "constraints": {"total_parameters": {"target": 60000, "tolerance": 0.03, "solve_for": "width"}},
    "sampler": {"kind": "grid"},
    "proxy": {
        "corpus": {"kind": "builtin"},
        "train_bytes": 60000,
        "sequence_length": 64,
        "vocabulary_size": 300,
        "head_dim": 8,
        "batch_tokens": 512,
        "validation_bytes": 10000,
        "evaluations": 2,
    },
    "max_trial_count": 6,
    "parallel_trial_count": 2,
}
COUNT = 6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S:g} s"
        time.sleep(0.5)


@dataclass
class Cluster:
    """The processes and the folder that all of them work in; ``home`` stands for the volumes."""

    folder: Path
    head: int = field(default_factory=free_port)
    dashboard: int = field(default_factory=free_port)
    agents: dict[str, int] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def temporary(self, name: str) -> Path:
        """Where a process has its temporary files, which a container has for itself."""
        return self.folder / name

    def environment(self, service: str) -> dict[str, str]:
        """What the file gives a service, with the places of this machine; nothing else but the search path."""
        places = {
            "/var/lib/formulary": str(self.home),
            "/run/secrets": str(self.secrets),
            "http://ray-head:8265": f"http://127.0.0.1:{self.dashboard}",
            "http://127.0.0.1:8265": f"http://127.0.0.1:{self.dashboard}",
            "/tmp": str(self.folder),
        }
        values: Mapping[str, str] = SERVICES[service]["environment"]
        given = {name: replaced(value, places) for name, value in values.items()}
        return {**given, "PATH": f"{PROGRAMS}:/usr/bin:/bin", "RAY_JOB_STOP_WAIT_TIME_S": "5"}

    def ports(self, name: str) -> list[str]:
        """Options that keep several Ray nodes of one machine apart, and on the loopback interface."""
        self.agents[name] = free_port()
        common = {
            "--node-ip-address": "127.0.0.1",
            "--temp-dir": self.temporary(name),
            "--dashboard-agent-listen-port": self.agents[name],
            "--dashboard-agent-grpc-port": 0,
            "--metrics-export-port": 0,
            "--min-worker-port": 0,
            "--max-worker-port": 0,
        }
        head = {
            "--port": self.head,
            "--dashboard-host": "127.0.0.1",
            "--dashboard-port": self.dashboard,
            "--ray-client-server-port": free_port(),
        }
        node = {"--address": f"127.0.0.1:{self.head}"}
        return [f"{option}={value}" for option, value in {**common, **(head if name == "ray-head" else node)}.items()]

    def is_healthy(self, service: str, name: str, port: int) -> bool:
        """Run the check of the file."""
        check: Sequence[str] = SERVICES[service]["healthcheck"]["test"][1:]
        command = [re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", word) for word in check]
        done = subprocess.run(
            command, executable=PROGRAMS / command[0], env=self.environment(service), capture_output=True, check=False
        )
        return done.returncode == 0

    @property
    def token(self) -> str:
        return (self.secrets / "ray_token").read_text()

    @property
    def service(self) -> ServerRecord:
        record = ServerRecord.read(self.home / "server.json")
        assert record is not None
        return record

    def ask_ray(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.dashboard}{path}", headers=headers, timeout=30)


def replaced(text: str, places: Mapping[str, str]) -> str:
    return next((text.replace(place, here) for place, here in places.items() if text.startswith(place)), text)


@contextmanager
def running(cluster: Cluster, service: str, name: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the file; ended at the end of the block with everything that it started."""
    command = [*SERVICES[service]["command"], *options]
    with (cluster.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            executable=PROGRAMS / command[0],
            cwd=cluster.folder,
            env=cluster.environment(service),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        process.terminate()
        for alive in psutil.wait_procs(family, timeout=STOP_S)[1]:
            alive.kill()
        process.wait()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        # A short name of its own: Ray's sockets have room for few characters, and the embedded server opens the
        # permissions of its parent folders when run by root.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fc-", ignore_cleanup_errors=True)))
        cluster = Cluster(folder)
        postgres = get_server(folder / "postgres", cleanup_mode="stop")
        stack.callback(postgres.cleanup)
        subprocess.run(["sh", ROOT / "docker" / "secrets.sh"], cwd=folder, check=True, capture_output=True)
        (cluster.secrets / "database_url").write_text(postgres.get_uri())
        (cluster.home / "storage").mkdir(parents=True)
        migrate(cluster)
        start = lambda *what: stack.enter_context(running(cluster, *what))  # noqa: E731
        start("api", "api", "--port=0")
        start("ray-head", "ray-head", *cluster.ports("ray-head"))
        wait_until(lambda: (cluster.home / "server.json").exists(), "the service")
        wait_until(lambda: cluster.is_healthy("api", "api", port_of(cluster.service.base_url)), "the service's health")
        ready(cluster, "ray-head", "ray-head")
        for name in ("node-1", "node-2"):
            start("ray-worker", name, *cluster.ports(name))
        for name in ("node-1", "node-2"):
            ready(cluster, "ray-worker", name)
        for name in ("worker-1", "worker-2"):
            start("worker", name)
        wait_until(lambda: cluster.is_healthy("worker", "worker-1", 0), "the workers' health")
        yield cluster


def migrate(cluster: Cluster) -> None:
    command = SERVICES["migrate"]["command"]
    subprocess.run(
        command, executable=PROGRAMS / command[0], env=cluster.environment("migrate"), check=True, capture_output=True
    )


def ready(cluster: Cluster, service: str, name: str) -> None:
    wait_until(lambda: cluster.is_healthy(service, name, cluster.agents[name]), f"the health of {name}")


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.fixture(scope="module")
def http(cluster: Cluster) -> Iterator[httpx.Client]:
    service = cluster.service
    with httpx.Client(base_url=service.base_url, headers={"Authorization": f"Bearer {service.key}"}) as client:
        yield client


@pytest.fixture(scope="module")
def study(http: httpx.Client) -> dict[str, Any]:
    """A study that has ended."""
    created = http.post("/v1/studies", json=SPEC)
    assert created.status_code == 201, created.text
    path = f"/v1/studies/{created.json()['id']}"

    def ended() -> bool:
        return http.get(path).json()["state"] in {"COMPLETED", "FAILED", "CANCELLED"}

    wait_until(ended, "the study")
    answer: dict[str, Any] = http.get(path).json()
    return answer


def test_both_workers_live(http: httpx.Client) -> None:
    wait_until(lambda: len(http.get("/v1/workers").json()["workers"]) == 2, "two workers")


def test_a_study_completes_with_each_trial_once(http: httpx.Client, study: dict[str, Any]) -> None:
    assert (study["state"], study["error"]) == ("COMPLETED", None)
    trials = http.get(f"/v1/studies/{study['id']}/trials").json()["trials"]
    assert [(trial["number"], trial["state"], trial["attempts"]) for trial in trials] == [
        (number, "COMPLETE", 1) for number in range(COUNT)
    ]
    assert http.get(f"/v1/studies/{study['id']}/formulas").json()["formulas"]


def test_trials_ran_on_both_nodes_and_not_on_the_head(cluster: Cluster, study: dict[str, Any]) -> None:
    """Each node has logs of its own, in which its slots name their trials."""
    ran = {name: trials_in(cluster.temporary(name)) for name in ("ray-head", "node-1", "node-2")}
    assert ran["ray-head"] == []
    assert ran["node-1"]
    assert ran["node-2"]
    assert sorted(ran["node-1"] + ran["node-2"]) == list(range(COUNT))


def trials_in(folder: Path) -> list[int]:
    logs = (path.read_text() for path in folder.glob("session_2*/logs/worker-*.err"))
    return [int(number) for log in logs for number in re.findall(r"trial (\d+) ends: bits_per_byte", log)]


@pytest.fixture(scope="module")
def job(cluster: Cluster, http: httpx.Client, study: dict[str, Any]) -> str:
    """The study's job, by way of the redirect for admins, whose cookie opens the dashboard."""
    answer = http.get("/ray-dashboard", params={"study": study["id"]})
    address, _, job = answer.headers["Location"].partition("/#/jobs/")
    assert address == f"http://127.0.0.1:{cluster.dashboard}"
    opened = httpx.get(f"{address}/api/jobs/", cookies=dict(answer.cookies), timeout=30)
    assert opened.status_code == 200
    return str(job)


def test_ray_lists_the_study_for_those_who_have_the_token(cluster: Cluster, study: dict[str, Any], job: str) -> None:
    assert cluster.ask_ray("/api/jobs/").status_code == 401
    assert cluster.ask_ray("/api/jobs/", Authorization="Bearer wrong").status_code == 403
    answer = cluster.ask_ray("/api/jobs/", Authorization=f"Bearer {cluster.token}")
    (listed,) = [listed for listed in answer.json() if listed["submission_id"] == job]
    assert listed["metadata"]["job_name"] == f"study-{study['id']}"
    for secret in (cluster.token, cluster.service.key, (cluster.secrets / "database_url").read_text()):
        assert secret not in answer.text

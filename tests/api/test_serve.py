"""``formulary serve`` as a process: how it starts, who finds it, how it ends. With a worker: tests/end_to_end."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

FORMULARY = str(Path(sys.executable).with_name("formulary"))
DEADLINE_S = 60.0

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def serve(home: Path) -> Iterator[Start]:
    """Starts the service of ``home`` without a worker, and waits until it answers."""
    processes: list[Process] = []

    def start(*options: str) -> Process:
        command = [FORMULARY, "serve", "--home", str(home), "--port", "0", "--no-worker", *options]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        wait_until_ready(home, processes[-1])
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_until_ready(home: Path, process: Process) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        if (home / "server.json").exists() and f":{process.pid}:" in written(home)["process"]:
            assert httpx.get(f"{written(home)['base_url']}/readyz").status_code == 200
            return
        time.sleep(0.01)
    raise AssertionError(process.communicate())


def written(home: Path) -> dict[str, Any]:
    return dict(json.loads((home / "server.json").read_text()))


def formulary(home: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [FORMULARY, *arguments, "--home", str(home)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    assert result.returncode == status, result
    return result


def only_line(result: subprocess.CompletedProcess[str]) -> str:
    (line,) = result.stderr.splitlines()
    return line


def end(process: Process, how: signal.Signals = signal.SIGTERM) -> str:
    process.send_signal(how)
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, errors) == (0, "stopping …\nstopped\n")
    return output


def test_commands_speak_to_the_service(serve: Start, home: Path, tmp_path: Path, table: bytes) -> None:
    serve()
    runs = tmp_path / "runs.csv"
    runs.write_bytes(table)
    study = formulary(home, "import", str(runs), "--name", "sweep", "--objective", "bits_per_byte").stdout.strip()
    assert json.loads(formulary(home, "study", "list", "--json").stdout)[0]["name"] == "sweep"
    assert len(json.loads(formulary(home, "study", "show", study, "--json").stdout)["trials"]) == 48
    assert json.loads(formulary(home, "formulas", study, "--json").stdout)[0]["studies"] == [study]
    key = {"Authorization": f"Bearer {written(home)['key']}"}
    asked = httpx.get(f"{written(home)['base_url']}/metrics", headers=key).text
    assert 'route="import_study"' in asked  # it came through the socket


def test_a_corpus_is_looked_for_where_the_service_looks(serve: Start, home: Path, spec: Path) -> None:
    serve()
    refused = only_line(formulary(home, "study", "create", str(spec), status=1))
    assert f"below an allowed folder ({home / 'corpora'})" in refused
    assert "FORMULARY_CORPUS_ROOTS" in refused
    refused = only_line(formulary(home, "study", "create", str(spec), "--corpus-root", str(spec.parent), status=1))
    assert refused.startswith(f"error: --corpus-root: the service at {written(home)['base_url']} reads only folders")
    assert json.loads(formulary(home, "study", "list", "--json").stdout) == []


def test_it_is_shut_to_whoever_has_no_key(serve: Start, home: Path) -> None:
    serve()
    assert httpx.get(f"{written(home)['base_url']}/v1/studies").status_code == 401


def test_the_link_it_prints_logs_a_browser_in_once(serve: Start, home: Path) -> None:
    process = serve()
    assert process.stdout is not None
    first = next(line.split()[1] for line in process.stdout if line.startswith("open "))
    for link in (first, formulary(home, "login-link").stdout.strip()):
        with httpx.Client() as browser:
            assert browser.get(link).status_code == 303
            assert browser.get(f"{written(home)['base_url']}/v1/studies").status_code == 200
        assert httpx.get(link).status_code == 401


@pytest.mark.parametrize(
    "how",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.chaos),
        pytest.param(signal.SIGHUP, marks=pytest.mark.chaos),
    ],
)
def test_an_orderly_end_sends_commands_back_to_the_database(serve: Start, home: Path, how: signal.Signals) -> None:
    process = serve()
    key = written(home)["key"]
    end(process, how)
    assert written(home)["ended"]
    assert not list(home.glob("formulary.db-*")), "its database was not closed"
    assert json.loads(formulary(home, "study", "list", "--json").stdout) == []
    serve()
    assert written(home)["key"] == key


def test_it_ends_in_time_while_a_client_watches(serve: Start, home: Path, spec: Path) -> None:
    process = serve()
    (home / "corpora").mkdir()
    (spec.parent / "words.txt").rename(home / "corpora" / "words.txt")
    study = formulary(home, "study", "create", str(spec)).stdout.strip()
    base_url, key = written(home)["base_url"], {"Authorization": f"Bearer {written(home)['key']}"}
    with httpx.stream("GET", f"{base_url}/v1/studies/{study}/events", headers=key) as events:
        lines = events.iter_lines()
        assert any(line == "event: study" for line in lines)
        end(process)
        for _ in lines:  # raises where the stream was cut off
            pass


def test_after_a_kill_commands_work_and_the_next_service_goes_on(serve: Start, home: Path) -> None:
    process = serve()
    key = written(home)["key"]
    process.kill()
    process.wait()
    assert json.loads(formulary(home, "study", "list", "--json").stdout) == []
    serve()
    assert written(home)["key"] == key
    assert json.loads(formulary(home, "study", "list", "--json").stdout) == []


def test_a_key_that_was_revoked_is_replaced(serve: Start, home: Path) -> None:
    process = serve()
    key = written(home)["key"]
    (listed,) = json.loads(formulary(home, "key", "list", "--json").stdout)
    end(process)
    formulary(home, "key", "revoke", str(listed["id"]))
    serve()
    assert written(home)["key"] != key
    assert json.loads(formulary(home, "study", "list", "--json").stdout) == []


def test_a_second_service_of_a_home_is_refused_with_the_address_of_the_first(serve: Start, home: Path) -> None:
    serve()
    before = written(home)
    error = only_line(formulary(home, "serve", "--port", "0", "--no-worker", status=1))
    assert f"served already at {before['base_url']}; stop it first" in error
    assert written(home) == before


def test_a_port_in_use_is_one_line_with_its_remedy(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = only_line(formulary(home, "serve", "--port", str(port), "--no-worker", status=1))
    assert error == (
        f"error: --port: port {port} of 127.0.0.1 is in use; choose another with --port, or 0 for any free one"
    )
    assert not (home / "server.json").exists()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.1"])
def test_a_host_that_is_not_this_machine_is_refused(home: Path, host: str) -> None:
    assert "--host" in only_line(formulary(home, "serve", "--port", "0", "--host", host, "--no-worker", status=1))


def test_a_home_that_belongs_to_a_server_elsewhere_keeps_its_file(home: Path) -> None:
    home.mkdir()
    (home / "server.json").write_text('{"base_url": "https://elsewhere", "key": "fml_precious"}')
    assert "https://elsewhere" in only_line(formulary(home, "serve", "--port", "0", "--no-worker", status=1))
    assert written(home)["key"] == "fml_precious"


def test_every_address_is_warned_about(serve: Start, home: Path) -> None:
    process = serve("--host", "0.0.0.0")
    assert urlsplit(written(home)["base_url"]).hostname == "127.0.0.1"
    process.send_signal(signal.SIGTERM)
    assert "no TLS" in process.communicate(timeout=DEADLINE_S)[1]


def test_a_login_link_needs_a_service(home: Path) -> None:
    assert "start `formulary serve`" in only_line(formulary(home, "login-link", status=1))


def test_its_files_are_its_owners(serve: Start, home: Path) -> None:
    serve()
    assert (home / "server.json").stat().st_mode & 0o077 == 0

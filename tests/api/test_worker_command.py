"""How a worker is set up, and what is refused before it starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TIMEOUT_S = 120


def worker(home: Path, *options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-P", "-m", "api.cli", "worker", "--home", str(home), *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "FORMULARY_"))}
    return subprocess.run(command, env=kept | variables, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def test_a_sqlite_file_is_not_shared_with_a_ray_on_another_machine(tmp_path: Path) -> None:
    result = worker(tmp_path, FORMULARY_RAY_DASHBOARD_URL="http://head.example:8265")
    assert result.returncode == 1
    assert result.stderr == (
        "error: FORMULARY_DATABASE_URL: drivers at head.example cannot reach a SQLite file of this machine; "
        "use PostgreSQL with a Ray on another machine\n"
    )


@pytest.mark.parametrize("address", ["head:8265", "ray://head:10001", "http://", "http://[::1", "http://head:x"])
def test_what_is_no_dashboard_address_is_refused(tmp_path: Path, address: str) -> None:
    result = worker(tmp_path, FORMULARY_RAY_DASHBOARD_URL=address)
    assert result.returncode == 1
    assert "FORMULARY_RAY_DASHBOARD_URL" in result.stderr
    assert "write http://HOST:8265" in result.stderr


def test_a_worker_whose_parent_is_gone_ends(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    given = {"FORMULARY_RAY_DASHBOARD_URL": "http://127.0.0.1:1"}
    assert worker(tmp_path, "--parent", str(gone.pid), **given).returncode == -signal.SIGKILL


def environment_after(code: str, home: Path) -> list[str]:
    lines = "from pathlib import Path; from api.settings import load_settings"
    use = f"from api.ray_token import use_local_ray; use_local_ray(load_settings(Path({str(home)!r})))"
    names = [
        "RAY_AUTH_MODE",
        "RAY_AUTH_TOKEN",
        "RAY_AUTH_TOKEN_PATH",
        "RAY_ADDRESS",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
    ]
    report = f"print(*[os.environ.get(name, '-') for name in {names}])"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "FORMULARY_"))}
    program = f"import os; {code}; {lines}; {use}; {report}"
    result = subprocess.run([sys.executable, "-c", program], env=kept, capture_output=True, text=True, check=True)
    return result.stdout.split()


def test_a_local_ray_gets_a_token_that_its_user_alone_reads(tmp_path: Path) -> None:
    token = tmp_path / "ray" / "token"
    found = environment_after("os.umask(0); os.environ['RAY_ADDRESS'] = 'auto'", tmp_path)
    assert found == ["token", "-", str(token), "-", "0"]
    assert (token.stat().st_mode & 0o777, len(token.read_text())) == (0o600, 64)
    first = token.read_text()
    environment_after("pass", tmp_path)
    assert token.read_text() == first


def test_the_users_token_is_kept(tmp_path: Path) -> None:
    found = environment_after("os.environ['RAY_AUTH_TOKEN'] = 'mine'", tmp_path)
    assert found[:3] == ["token", "mine", "-"]
    assert not (tmp_path / "ray").exists()

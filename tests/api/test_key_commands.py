"""``formulary key``: what it prints, and that what it prints opens the service."""

import json
import re
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from api.app import create_app
from api.cli import app
from api.settings import load_settings
from api.transport.in_process import InProcessTransport


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def formulary(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["key", *arguments, "--home", str(home)])


def created(home: Path, *arguments: str) -> str:
    result = formulary(home, "create", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[-1]


def answers(home: Path, key: str) -> list[int]:
    application = create_app(load_settings(home=home, environment={}))
    with httpx.Client(transport=InProcessTransport(application), base_url="http://127.0.0.1") as client:
        headers = {"Authorization": f"Bearer {key}"}
        return [client.get(path, headers=headers).status_code for path in ("/v1/studies", "/v1/keys")]


def test_the_last_line_is_the_key_and_opens_the_service(home: Path) -> None:
    key = created(home)
    assert re.fullmatch(r"fml_[A-Za-z0-9_-]{43}", key)
    assert answers(home, key) == [200, 403]
    assert answers(home, created(home, "--role", "admin")) == [200, 200]


def test_lists_keys_without_their_secrets(home: Path) -> None:
    keys = [created(home, "--role", role, "--name", f"of {role}", "--owner", "ada") for role in ("read", "write")]
    shown = formulary(home, "list").stdout
    listed = json.loads(formulary(home, "list", "--json").stdout)
    assert [(key["name"], key["owner"], key["role"]) for key in listed] == [
        ("of write", "ada", "write"),
        ("of read", "ada", "read"),
    ]
    for key in keys:
        assert key[:8] in shown
        assert key[8:] not in shown + json.dumps(listed)


def test_revokes_a_key(home: Path) -> None:
    key = created(home)
    assert formulary(home, "revoke", "1").exit_code == 0
    assert answers(home, key) == [401, 401]
    (listed,) = json.loads(formulary(home, "list", "--json").stdout)
    assert listed["revoked_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("revoke", "7"), 1, "there is no key 7"),
        (("create", "--name", ""), 1, "name: "),
        (("create", "--owner", "a b"), 1, "owner: "),
        (("create", "--role", "root"), 2, "root"),
        (("revoke", "none"), 2, "ID"),
    ],
)
def test_says_what_is_wrong(home: Path, arguments: tuple[str, ...], status: int, said: str) -> None:
    result = formulary(home, *arguments)
    assert result.exit_code == status
    assert said in result.stderr
    assert result.stdout == ""

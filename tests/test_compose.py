"""docker-compose.yml, read as data: what it opens, who runs in it, where secrets are, and that its commands exist.

No Docker engine is needed; tests/end_to_end/test_cluster.py runs the same processes.
"""

import ast
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.settings import load_settings
from studies.database import Database

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DOCUMENT = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", COMPOSE))
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
ONE_SHOT = {"migrate"}
LASTING = sorted(SERVICES.keys() - ONE_SHOT)
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "formulary")
ON_RAY = ["worker", "ray-head", "ray-worker"]
WITH_DATABASE = {"migrate", "api", "worker", "ray-head"}

each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def environment(name: str) -> dict[str, str]:
    values: dict[str, str] = SERVICES[name]["environment"]
    return values


def test_the_services_are_those_of_a_cluster() -> None:
    assert set(SERVICES) == {"postgres", "migrate", "api", "worker", "ray-head", "ray-worker"}


def test_only_two_ports_are_published_and_only_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:8000:8000"], "ray-head": ["127.0.0.1:8265:8265"]}
    assert "--port=8000" in SERVICES["api"]["command"]
    assert "--dashboard-port=8265" in SERVICES["ray-head"]["command"]
    assert not any("network_mode" in service for service in SERVICES.values())


@each_service
def test_nothing_runs_as_root_or_may_become_root(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()
    if name in OURS:
        user = re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1]
        assert int(user) >= 10_000
        assert f"--uid {user} " in DOCKERFILE
    else:
        assert service["user"] == "postgres"


@pytest.mark.parametrize("name", LASTING)
def test_whatever_lasts_says_whether_it_is_healthy_and_is_started_again(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()
    assert SERVICES[name]["restart"] == "unless-stopped"


@each_service
def test_a_service_waits_until_what_it_needs_is_ready(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how == {"condition": expected}
    assert SERVICES["migrate"]["restart"] == "no"
    if name in {"api", "worker"}:
        assert {"postgres", "migrate"} <= SERVICES[name]["depends_on"].keys()


def test_the_database_is_out_of_reach_of_trials() -> None:
    assert DOCUMENT["networks"]["data"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["data"]
    assert {name for name in OURS if "data" in SERVICES[name]["networks"]} == WITH_DATABASE
    assert {name for name in OURS if "database_url" in SERVICES[name].get("secrets", [])} == WITH_DATABASE
    for name in SERVICES:
        for needed in SERVICES[name].get("depends_on", {}):
            assert needed in ONE_SHOT or set(SERVICES[name]["networks"]) & set(SERVICES[needed]["networks"])


@each_service
def test_secrets_are_files_and_never_in_the_environment(name: str) -> None:
    for variable, value in environment(name).items():
        assert "@" not in str(value)
        if re.search("PASSWORD|TOKEN|SECRET|KEY|DATABASE_URL", variable):
            assert variable.endswith(("_FILE", "_PATH"))
            secret = value.removeprefix("/run/secrets/")
            assert secret in SERVICES[name]["secrets"]
    assert not {"env_file"} & SERVICES[name].keys()
    assert set(SERVICES[name].get("secrets", [])) <= DOCUMENT["secrets"].keys()


def test_what_the_environment_may_change_is_no_secret() -> None:
    assert set(re.findall(r"\$\{(\w+)", COMPOSE)) == {"RAY_WORKER_CPUS"}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    make_secrets(tmp_path)
    return tmp_path / "secrets"


def make_secrets(folder: Path) -> None:
    subprocess.run(["sh", ROOT / "docker" / "secrets.sh"], cwd=folder, check=True, capture_output=True)


def test_the_script_makes_every_secret_once(secrets: Path) -> None:
    listed = {(ROOT / secret["file"]).relative_to(ROOT / "secrets").name for secret in DOCUMENT["secrets"].values()}
    made = {path.name: path.read_text() for path in secrets.iterdir()}
    assert made.keys() == listed
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    for name in ("postgres_password", "ray_token"):
        assert re.fullmatch("[0-9a-f]{64}", made[name])
    assert made["postgres_password"] != made["ray_token"]
    make_secrets(secrets.parent)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == made


def test_the_database_address_fits_the_database(secrets: Path) -> None:
    file = {"FORMULARY_DATABASE_URL_FILE": str(secrets / "database_url")}
    url = Database(load_settings(environment=file).database_url).url
    postgres = environment("postgres")
    assert (url.host, url.port) == ("postgres", None)
    assert (url.username, url.database) == (postgres["POSTGRES_USER"], postgres["POSTGRES_DB"])
    assert url.password == (secrets / "postgres_password").read_text()


@pytest.mark.parametrize("ignored", [".gitignore", ".dockerignore"])
def test_secrets_reach_neither_the_repository_nor_the_image(ignored: str) -> None:
    lines = (ROOT / ignored).read_text().split()
    assert "secrets/" in lines or (lines[0] == "*" and not any("secret" in line for line in lines))


class Reads(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_given, self.asked = values, set[str]()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_given[name]

    def __iter__(self) -> Any:
        return iter(self.values_given)

    def __len__(self) -> int:
        return len(self.values_given)


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_is_read(name: str, secrets: Path) -> None:
    values = {key: value.replace("/run/secrets", str(secrets)) for key, value in environment(name).items()}
    reads = Reads(values)
    settings = load_settings(environment=reads)
    assert {key for key in values if key.startswith("FORMULARY_")} <= reads.asked
    for volume in SERVICES[name].get("volumes", []):
        volume_name, path, *_ = volume.split(":")
        expected = {"storage": settings.storage, "corpora": settings.home / "corpora", "api": settings.home}
        assert Path(path) == expected[volume_name]
        assert volume_name in DOCUMENT["volumes"]
        assert path in DOCKERFILE  # so that a new volume belongs to the image's user


def test_everybody_who_reads_or_writes_runs_shares_the_storage() -> None:
    for name in ("api", *ON_RAY):
        assert "storage:/var/lib/formulary/storage" in SERVICES[name]["volumes"]


@pytest.mark.parametrize("name", ON_RAY)
def test_ray_asks_everybody_for_the_token(name: str) -> None:
    given = environment(name)
    assert (given["RAY_AUTH_MODE"], given["RAY_AUTH_TOKEN_PATH"]) == ("token", "/run/secrets/ray_token")


def test_trials_do_not_run_beside_the_drivers_and_nodes_can_be_added() -> None:
    assert "--num-cpus=0" in SERVICES["ray-head"]["command"]
    worker = SERVICES["ray-worker"]
    assert not {"container_name", "hostname", "ports"} & worker.keys()
    assert worker["deploy"]["replicas"] >= 2
    assert f"--num-cpus={worker['cpus']}" in worker["command"]


def commands() -> dict[str, list[str]]:
    """Every command of the file that is ours or Ray's."""
    found = {name: service["command"] for name, service in SERVICES.items() if "command" in service}
    checks = {
        f"{name} check": service["healthcheck"]["test"][1:] for name, service in SERVICES.items() if name in LASTING
    }
    return {name: command for name, command in {**found, **checks}.items() if command[0] in {"formulary", "ray"}}


@pytest.mark.parametrize("name", sorted(commands()))
def test_commands_and_their_options_exist(name: str) -> None:
    program, subcommand, *arguments = commands()[name]
    executable = Path(sys.executable).with_name(program)
    shown = subprocess.run([executable, subcommand, "--help"], capture_output=True, text=True, check=True)
    options = set(re.findall(r"--[a-z][a-z-]*", shown.stdout))
    assert {argument.split("=")[0] for argument in arguments} <= options


@pytest.mark.parametrize("name", ["api", "ray-head", "ray-worker"])
def test_checks_in_python_ask_the_service_itself(name: str) -> None:
    program, option, code = SERVICES[name]["healthcheck"]["test"][1:]
    assert (program, option) == ("python", "-c")
    ast.parse(code)
    port = 8000 if name == "api" else 52365
    assert f"http://127.0.0.1:{port}/" in code


def test_the_image_copies_what_the_package_is_made_of() -> None:
    copied = {name for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    assert all((ROOT / name).exists() for name in copied)
    assert {"api", "studies", "search", "trainer", "model", "pyproject.toml", "constraints.txt"} <= copied
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    assert copied == allowed
    (torch,) = re.findall(r"torch==\S+", DOCKERFILE)
    assert torch in (ROOT / "constraints.txt").read_text().split()

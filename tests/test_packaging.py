"""The wheel holds the five packages, complete, and nothing else; it works from any directory."""

import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("api", "studies", "search", "trainer", "model")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("formulary-*.whl")
    return path


def test_holds_the_five_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert folders == set(PACKAGES)
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)


def test_holds_every_tracked_file_of_the_packages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names


def test_runs_unpacked_in_another_directory(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = "import sys; sys.path.insert(0, 'site'); import api.cli; print(api.cli.__file__)"
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip().endswith("site/api/cli.py")


def test_api_process_loads_neither_torch_nor_ray() -> None:
    code = "import sys, api.app; print(sorted({'torch', 'transformers', 'ray', 'optuna'} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_gpu_extra_pins_flash_attn_on_linux_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    flash_attn = [one for one in required if one.name == "flash-attn"]
    assert [str(one.specifier)[:2] for one in flash_attn] == ["=="]
    for platform, extra, wanted in (("linux", "gpu", True), ("darwin", "gpu", False), ("linux", "", False)):
        environment = {"sys_platform": platform, "extra": extra}
        assert [one.marker is not None and one.marker.evaluate(environment) for one in flash_attn] == [wanted]


def test_the_gpu_extra_admits_the_pinned_torch() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extra = [Requirement(line) for line in tomllib.load(file)["project"]["optional-dependencies"]["gpu"]]
    pins = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().split() if line.startswith("torch==")]
    (pinned,) = (next(iter(pin.specifier)).version for pin in pins)
    assert all(one.specifier.contains(pinned) for one in extra if one.name == "torch")


def test_training_imports_nothing_of_the_gpu_extra(tmp_path: Path) -> None:
    for package in ("flash_attn", "flash_attn_interface"):
        (tmp_path / f"{package}.py").write_text("")
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import trainer.loop, trainer.pretrain; "
    code += "print(sorted(name for name in sys.modules if name.startswith('flash_attn')))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

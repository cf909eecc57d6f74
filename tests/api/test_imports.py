"""What the command line loads before it is needed: seconds of start-up."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "ray", "optuna"}


def loaded(code: str, watched: set[str]) -> set[str]:
    report = f"import sys; print(' '.join({watched!r} & sys.modules.keys()))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, timeout=120
    )
    return set(result.stdout.splitlines()[-1].split()) if result.stdout.strip() else set()


def test_the_command_line_starts_light() -> None:
    assert loaded("import api.cli", {*HEAVY, "sqlalchemy", "fastapi", "scipy", "numpy", "alembic"}) == set()


@pytest.mark.parametrize("command", ["study list", "study list --json"])
def test_listing_studies_loads_neither_torch_nor_ray(tmp_path: Path, command: str) -> None:
    arguments = [*command.split(), "--home", str(tmp_path)]
    code = f"from api.cli import app; app({arguments!r}, standalone_mode=False)"
    assert loaded(code, HEAVY) == set()


def test_the_application_loads_neither_torch_nor_ray() -> None:
    assert loaded("import api.app", HEAVY) == set()

import os
import re
import subprocess
from pathlib import Path

from trainer.machine.software import git_revision, installed_versions


def git(folder: Path, *arguments: str) -> None:
    environment = {"GIT_CONFIG_GLOBAL": "/dev/null", "PATH": os.environ["PATH"]}
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True, env=environment)


def test_the_revision_is_that_of_the_own_checkout_and_says_when_files_differ(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("first")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "tag", "v1")
    revision = git_revision(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", revision or "")
    (tmp_path / "file").write_text("second")
    assert git_revision(tmp_path) == f"{revision}-dirty"
    inside = tmp_path / "site-packages"
    inside.mkdir()
    assert git_revision(inside) is None


def test_what_is_not_installed_has_no_version() -> None:
    assert set(installed_versions(["numpy", "no-such-package"])) == {"python", "numpy"}

"""Which software computed: versions and the revision of the code, read without importing anything."""

import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path


def installed_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of Python and of each package that is installed."""
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


@cache
def code_revision() -> str | None:
    """Revision of the code that runs, read once a process; None when it is installed as a package."""
    return git_revision(Path(__file__).parents[2])


def git_revision(checkout: Path) -> str | None:
    """Commit of ``checkout`` when it is the top of a git work tree, else None (a package inside another tree).

    ``-dirty`` is appended where tracked files differ from the commit.
    """
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()

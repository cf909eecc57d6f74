"""Where an export came from: the study, its evidence, and the software that wrote it."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from model.config import FrozenConfig
from studies.digest import document_digest
from studies.formulas.formula import Formula, Verdict
from studies.spec import StudySpec

PACKAGES = ("formulary", "torch", "transformers", "ray", "optuna")


class FormulaReference(FrozenConfig):
    """The revision of a formula that the recipe was shown, used or not."""

    id: str
    revision: int
    kind: str
    verdict: Verdict


class Provenance(FrozenConfig):
    """Enough to find the evidence again and to repeat the export."""

    study_id: int
    study_name: str
    spec_digest: str
    """SHA-256 of the spec as canonical JSON."""
    trials: tuple[int, ...]
    """Numbers of the complete trials that the recipe rests on."""
    formulas: tuple[FormulaReference, ...]
    git_revision: str | None
    """Commit of Formulary's own checkout; None when it is installed as a package."""
    versions: dict[str, str]
    """Python and the packages that decide the numbers; a package that is not installed is left out."""
    created_at: datetime


def collect_provenance(
    study_id: int, spec: StudySpec, trials: Sequence[int], formulas: Sequence[Formula]
) -> Provenance:
    """Describe an export that is about to be written from these trials and formulas."""
    return Provenance(
        study_id=study_id,
        study_name=spec.name,
        spec_digest=document_digest(spec.model_dump(mode="json")),
        trials=tuple(sorted(trials)),
        formulas=tuple(
            FormulaReference(id=formula.id, revision=formula.revision, kind=formula.kind, verdict=formula.verdict)
            for formula in formulas
        ),
        git_revision=git_revision(Path(__file__).parents[2]),
        versions=installed_versions(),
        created_at=datetime.now(UTC),
    )


def installed_versions() -> dict[str, str]:
    """Versions of Python and of each of ``PACKAGES`` that is installed, read without importing them."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_revision(checkout: Path) -> str | None:
    """Commit of ``checkout`` when it is the top of a git work tree, else None (a package inside another tree)."""
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()

"""Where an export came from: the study, its evidence, and the software that wrote it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from model.config import FrozenConfig
from studies.digest import document_digest
from studies.formulas.formula import Formula, Verdict
from studies.spec import StudySpec
from studies.validation.statement import OF_A_TRIAL, ValidationStatement
from trainer.machine.software import code_revision, installed_versions

PACKAGES = ("formulary", "torch", "transformers", "ray", "optuna", "torchtitan", "litgpt")
"""What decides an export's numbers, and what it is tried with."""


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
    """Commit of Formulary's own checkout, ``-dirty`` where files differ; None when it is installed as a package."""
    validation: ValidationStatement = OF_A_TRIAL
    """How far the recipe was validated."""
    versions: dict[str, str]
    """Python and the packages that decide the numbers; a package that is not installed is left out."""
    created_at: datetime


def collect_provenance(
    study_id: int,
    spec: StudySpec,
    trials: Sequence[int],
    formulas: Sequence[Formula],
    validation: ValidationStatement = OF_A_TRIAL,
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
        validation=validation,
        git_revision=code_revision(),
        versions=installed_versions(PACKAGES),
        created_at=datetime.now(UTC),
    )

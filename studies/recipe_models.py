"""The parents and teachers of recipes, found and read as far as their shapes: no weights, no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from model.errors import InvalidInput
from studies.recipe.models import KnownModel, Models
from studies.recipe.target import Target
from studies.spec import StudySpec, TrainedModel
from studies.trained_models import folder_of
from trainer.run_folder import run_train_flops
from trainer.text.corpus import find_below


@dataclass(frozen=True, slots=True)
class Places:
    """Where the networks of recipes may be looked for."""

    storage: Path
    """Where studies keep weights."""
    roots: Sequence[Path] | None
    """Folders below which those that a target names may lie; None where that was checked when it was asked for."""


def find_models(session: Session, owner: str, spec: StudySpec, target: Target | None, places: Places) -> Models:
    """The parent and the teacher of a recipe: the target's where it names them, else those of the study.

    Raises:
        InvalidInput: a folder that the target names lies elsewhere, or holds nothing that can be read as a network.
    """
    given = given_models(target, places.roots)
    parent, teacher = given.parent, given.teacher
    if parent is None and spec.inherit is not None:
        parent = _of_study(session, owner, spec.inherit.parent, places.storage)
    if teacher is None and spec.teacher is not None:
        teacher = _of_study(session, owner, spec.teacher.model, places.storage)
    return Models(parent, teacher)


def given_models(target: Target | None, roots: Sequence[Path] | None) -> Models:
    """The parent and the teacher that a target names; ``roots`` as in ``Places``.

    Raises:
        InvalidInput: a folder lies elsewhere, holds nothing that can be read as a network, or no tokenizer.
    """
    if target is None:
        return Models()
    return Models(_given(target.parent, roots, "parent"), _given(target.teacher, roots, "teacher"))


def _given(path: str | None, roots: Sequence[Path] | None, field: str) -> KnownModel | None:
    from model.inheritance.folder import parent_folder  # loads what reads tokenizers

    if path is None:
        return None
    folder = Path(path) if roots is None else find_below(roots, path, field, f"leave {field} out")
    found = parent_folder(folder, field)
    if found.tokenizer is None:
        reason = f"{found.path} holds no tokenizer, without which its tokens cannot be told from others"
        raise InvalidInput(f"{field}.tokenizer", reason, "put the tokenizer.json that it was trained with there")
    flops = run_train_flops(folder)
    return KnownModel(
        folder=str(folder), said=folder.name, architecture=found.architecture, train_flops=flops, given=True
    )


def _of_study(session: Session, owner: str, model: TrainedModel, storage: Path) -> KnownModel:
    """A study's own parent or teacher, or what is wrong with it."""
    from model.inheritance.folder import parent_folder  # loads what reads tokenizers

    said = Path(model.location).name if model.kind == "folder" else model.location
    try:
        folder, flops = folder_of(session, owner, model, storage, said)
        architecture = parent_folder(folder, said).architecture
    except InvalidInput as error:
        return KnownModel(folder=model.location, said=said, problem=f"{error.field}: {error.reason}")
    return KnownModel(folder=str(folder), said=said, architecture=architecture, train_flops=flops)

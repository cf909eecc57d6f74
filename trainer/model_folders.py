"""Where a full run finds the networks that it starts from or learns from; no torch."""

from collections.abc import Sequence
from pathlib import Path

from model.errors import InvalidInput
from model.inheritance.folder import parent_folder
from trainer.config import PretrainConfig
from trainer.text.corpus import find_below
from trainer.weights_folder import WEIGHTS


def resolve_models(
    config: PretrainConfig, roots: Sequence[Path], storage: Path, *, started: bool, field: str = "pretrain"
) -> PretrainConfig:
    """The config with the real paths of parent and teacher, below an allowed folder or among kept weights.

    Args:
        config: of a document that nobody has checked.
        roots: folders below which they may lie, beside the weights that studies keep below ``storage``.
        storage: where those are.
        started: whether the run goes on from a checkpoint: its parent may be gone, and its path is then left empty.
        field: of the document.

    Raises:
        InvalidInput: a path leads elsewhere, or to nothing that can be read as a network; names its field.
    """
    allowed = [*roots, storage / WEIGHTS]
    if config.inheritance is not None:
        parent = _parent(allowed, config.inheritance.parent, f"{field}.inheritance.parent", may_be_gone=started)
        config = config.model_copy(update={"inheritance": config.inheritance.model_copy(update={"parent": parent})})
    if config.distillation is not None:
        teacher = _found(allowed, config.distillation.teacher, f"{field}.distillation.teacher")
        config = config.model_copy(update={"distillation": config.distillation.model_copy(update={"teacher": teacher})})
    return config


def _parent(roots: Sequence[Path], path: str, field: str, may_be_gone: bool) -> str:
    try:
        return _found(roots, path, field)
    except InvalidInput:
        if may_be_gone:
            return ""
        raise


def _found(roots: Sequence[Path], path: str, field: str) -> str:
    real = find_below(roots, path, field, "leave it out")
    parent_folder(real, field)
    return str(real)

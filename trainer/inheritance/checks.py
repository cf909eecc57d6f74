"""Whether a network can inherit from a folder, before anything is spent: it reads the config only; no torch."""

from pathlib import Path

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.folder import ParentFolder, parent_folder
from model.inheritance.shapes import FIELD, check_inheritable


def check_inheritance(parent: Path, student: ArchitectureConfig, field: str = FIELD) -> ParentFolder:
    """Find the parent's files and compare the shapes.

    What only the content of weights and tokenizers tells is refused when they are read, still before training.

    Raises:
        InvalidInput: config or weights are missing, pickled or of another kind, there is no tokenizer, or the parent
            is smaller in a dimension; its field begins with ``field``.
    """
    found = parent_folder(parent, field)
    check_inheritable(found.architecture, student, field)
    if found.tokenizer is None:
        reason = f"{found.path} holds no tokenizer, so that nobody knows what its embeddings stand for"
        raise InvalidInput(field, reason, "put the tokenizer that it was trained with into the folder")
    return found

"""What a teacher is and whether its student can learn from it, by its config alone; no torch."""

from pathlib import Path

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from model.inheritance.folder import ParentFolder, parent_folder

FIELD = "teacher.model"


def teacher_folder(path: str, sequence_length: int) -> ParentFolder:
    """Find the files of a teacher for sequences of this length; width, depth and heads are its own affair.

    Raises:
        InvalidInput: the folder cannot be used, or its network was made for shorter sequences.
    """
    folder = parent_folder(Path(path), FIELD)
    longest = folder.architecture.sequence_length
    if longest < sequence_length:
        reason = f"it was made for {longest} tokens, and the student's sequences have {sequence_length}"
        raise InvalidInput(FIELD, reason, f"set sequence_length to at most {longest}, or give another teacher")
    return folder


def over_student(teacher: ArchitectureConfig, student: ArchitectureConfig) -> ArchitectureConfig:
    """The teacher's network with the tokens of the student, its sequences and its document mask: what is computed."""
    shared = ("vocabulary_size", "sequence_length", "mask_documents")
    return teacher.model_copy(update={name: getattr(student, name) for name in shared})

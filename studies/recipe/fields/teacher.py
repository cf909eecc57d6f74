"""From whom the run learns beside the text."""

from model.config import ArchitectureConfig
from model.errors import InvalidInput
from studies.recipe.basis import Basis
from studies.recipe.evidence import Leaf
from studies.recipe.fields.start import Chosen
from studies.recipe.models import KnownModel
from studies.recipe.recipe import RecipeField, default_field, leaves
from trainer.distillation.config import DistillationConfig

DISTILLATION = "distillation"
TEACHER = f"{DISTILLATION}.teacher"
OF_TEACHER = (TEACHER, f"{DISTILLATION}.teacher_train_flops")
"""What follows from the teacher alone."""
DEFAULT = "DistillationSettings (arXiv 1503.02531)"


def choose_teacher(basis: Basis, architecture: ArchitectureConfig) -> Chosen:
    """Every leaf of ``distillation``: the target's teacher where it names one, else the trials'.

    Raises:
        InvalidInput: the network cannot learn from the target's own teacher; names ``teacher``.
    """
    teacher, tried = basis.models.teacher, basis.config.distillation
    problem = _problem(teacher, architecture)
    if teacher is not None and teacher.given:
        if problem:
            raise InvalidInput("teacher", problem, "give another teacher for this network, or leave it out")
        return Chosen(tuple(_leaves(basis, teacher)))
    if tried is None:
        return Chosen((basis.inherit(DISTILLATION),))
    if teacher is None or problem:
        warning = (
            f"The trials learnt from a teacher, and this run learns from the text alone, because {problem}: what the "
            "study found holds with a teacher. Give one for this target (--teacher DIR)."
        )
        return Chosen((default_field(DISTILLATION, None, "no teacher", problem),), (warning,))
    return Chosen(tuple(_leaves(basis, teacher)))


def _leaves(basis: Basis, teacher: KnownModel) -> list[RecipeField]:
    tried = basis.config.distillation or DistillationConfig(teacher=teacher.folder)
    config = tried.model_copy(update={"teacher": teacher.folder, "teacher_train_flops": teacher.train_flops})
    return [_leaf(basis, name, value, teacher) for name, value in leaves(config, f"{DISTILLATION}.")]


def _leaf(basis: Basis, name: str, value: Leaf, teacher: KnownModel) -> RecipeField:
    if name in OF_TEACHER and teacher.given:
        return RecipeField(name=name, value=value, source="target", reference="teacher")
    if basis.config.distillation is not None:
        return basis.inherit(name, teacher.said if name == TEACHER else "")
    return default_field(name, value, DEFAULT)


def _problem(teacher: KnownModel | None, architecture: ArchitectureConfig) -> str:
    """Why a teacher is of no use for this network; empty where it is, as far as its shape tells."""
    if teacher is None:
        return "no teacher is known"
    own = teacher.architecture
    if own is None:
        return teacher.problem
    if own.sequence_length < architecture.sequence_length:
        return (
            f"{teacher.said} was made for {own.sequence_length} tokens, and this network's sequences have "
            f"{architecture.sequence_length}"
        )
    if own.vocabulary_size < architecture.vocabulary_size:
        return f"{teacher.said} has {own.vocabulary_size} tokens, this network {architecture.vocabulary_size}"
    return ""

"""What a run is told about its teacher; no torch."""

from typing import Annotated

from pydantic import Field

from model.config import FrozenConfig


class DistillationSettings(FrozenConfig):
    """How a student learns from a teacher, whoever it is."""

    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the KL term in the trained loss; the rest is the cross-entropy of the text."""
    temperature: Annotated[float, Field(gt=0, le=100)] = 2.0
    """Both distributions are softened by it (arXiv 1503.02531, section 2)."""


class DistillationConfig(DistillationSettings):
    """Training towards a teacher's predictions beside the text's tokens (arXiv 1503.02531; arXiv 2208.07120)."""

    teacher: str
    """Folder with the teacher's ``config.json``, safetensors and tokenizer."""
    teacher_train_flops: Annotated[float, Field(ge=0)] | None = None
    """FLOPs that training the teacher took, with those of what it started from; None where nobody knows them."""

"""Trained networks that a recipe's run may start from or learn from, as they were found."""

from dataclasses import dataclass

from model.config import ArchitectureConfig


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One trained network."""

    folder: str
    """Where ``formulary pretrain`` will look for it."""
    said: str
    """As it was named: a folder, or a trial."""
    architecture: ArchitectureConfig | None = None
    """None where it cannot be read; ``problem`` says why."""
    problem: str = ""
    train_flops: float | None = None
    """Of training it, with those of what it started from; None where nobody knows them."""
    given: bool = False
    """Whether the target names it, and not the study."""


@dataclass(frozen=True, slots=True)
class Models:
    """The parent and the teacher of a recipe: the target's own where it names one, else the study's."""

    parent: KnownModel | None = None
    teacher: KnownModel | None = None

    @property
    def given_parent(self) -> ArchitectureConfig | None:
        """The network of the target's own parent; None where it names none, or one that cannot be read."""
        return self.parent.architecture if self.parent is not None and self.parent.given else None


NO_MODELS = Models()

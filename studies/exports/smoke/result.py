"""What is known of an export before it is offered: what was tried with it, by which software."""

from typing import Literal

from model.config import FrozenConfig
from model.errors import FormularyError


class SmokeTest(FrozenConfig):
    """A smoke test that was passed."""

    method: Literal["training", "loading", "schema"]
    """``training``: steps of the trainer itself; ``loading``: the framework's own classes read it; ``schema``: it was
    compared with what the framework documents, because the framework is not there."""
    software: str
    """What it was tried with, with its version or commit."""
    done: tuple[str, ...]
    """What was done, a sentence each."""
    left_out: tuple[str, ...] = ()
    """What could not be tried here, and why."""
    parameters: int
    """Parameters as the format's own class or formula counts them; equal to the recipe's."""


class SmokeTestFailed(FormularyError):
    """An export does not do what it should, and is not offered.

    Args:
        format: its format.
        reason: what went wrong.
    """

    def __init__(self, format: str, reason: str) -> None:
        super().__init__(
            f"the {format} export failed its smoke test and was removed: {' '.join(reason.split())[:1000]}; "
            "use another format, and report this with the study's spec"
        )

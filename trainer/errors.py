"""Errors of training that are not the user's input."""

from model.errors import FormularyError

DIVERGED = "training diverged"
"""How the reason of a trial begins whose training diverged."""


class TrainingDiverged(FormularyError):
    """The loss is not finite, or worse than that of a network that has learned nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{DIVERGED}: {reason}")
        self.reason = reason

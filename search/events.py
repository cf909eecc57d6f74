"""What a trial says while it runs. Events travel from Ray workers to the driver, whose observers act on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trainer.results import Value

__all__ = [
    "AttemptLost",
    "Observer",
    "TrialCompleted",
    "TrialEvent",
    "TrialFailed",
    "TrialInfeasible",
    "TrialProgress",
    "TrialPruned",
    "TrialStarted",
    "Value",
]


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A trial slot took this trial on: the beginning of an attempt."""

    number: int
    parameters: Mapping[str, Value]
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrialProgress:
    """An evaluation inside the run; ``values`` holds metrics by their standard names."""

    number: int
    step: int
    values: Mapping[str, float]
    losses: Sequence[tuple[int, float]] = ()
    """(step, training loss) since the progress before, some of the steps; nats per token."""


@dataclass(frozen=True, slots=True)
class TrialCompleted:
    """The run reached its end."""

    number: int
    metrics: Mapping[str, float]
    attributes: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class TrialPruned:
    """The scheduler stopped the run early."""

    number: int
    metrics: Mapping[str, float]
    """At its last evaluation."""
    attributes: Mapping[str, Value]
    reason: str


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """The run ended without a value, e.g. its loss diverged; running it again would give the same."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class TrialInfeasible:
    """The trial cannot be run at all here."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptLost:
    """The worker died. The trial waits for another attempt under the same number."""

    number: int
    reason: str


TrialEvent = TrialStarted | TrialProgress | TrialCompleted | TrialPruned | TrialFailed | TrialInfeasible | AttemptLost


class Observer(Protocol):
    """Called in the driver process for every event, in order, from one thread."""

    def __call__(self, event: TrialEvent) -> None:
        """Act on ``event``; an exception stops the search."""

"""What may be asked of a search while it runs: further points, further trials."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from search.events import Value


@dataclass(frozen=True, slots=True)
class EnqueuedPoint:
    """An outer point that a user asked for after the study was created."""

    position: int
    """Its place among all points enqueued in the study, counted from 0."""
    values: Mapping[str, Value]
    """Of every declared and solved name, as ``search.given.given_point`` completes them."""
    may_repeat: bool = False
    """Whether it runs although it was tried before."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What is asked of a search now."""

    max_trial_count: int
    points: tuple[EnqueuedPoint, ...] = ()
    """Every point enqueued so far, by position; those that have run are known from their trials."""


Look = Callable[[], Orders]
"""Reads the newest orders; asked before each group, so it answers in microseconds most of the time."""

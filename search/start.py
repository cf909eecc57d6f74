"""What a search begins with: points that run first, a law of the optimum, trials of earlier studies."""

from collections.abc import Mapping
from dataclasses import dataclass

from search.events import Value
from search.laws import Law


@dataclass(frozen=True, slots=True)
class EarlierTrial:
    """A finished trial of an earlier study, inside this study's space."""

    study: str
    """Which study it belongs to: values compare within one study only."""
    parameters: Mapping[str, Value]
    values: tuple[float, ...] | None
    """The objectives of this study; None when it failed."""


@dataclass(frozen=True, slots=True)
class Start:
    """Prior knowledge of a search; every part may be left out."""

    points: tuple[Mapping[str, Value], ...] = ()
    """Outer points that run first, in this order, under the first numbers."""
    law: Law | None = None
    """Where the optimum is expected."""
    earlier: tuple[EarlierTrial, ...] = ()
    """What earlier studies found; none of them is run again as a trial of this one."""

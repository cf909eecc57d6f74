"""What every sampler does."""

from collections.abc import Mapping
from typing import Protocol

from search.events import Value
from search.space import Point


class Sampler(Protocol):
    """Chooses outer points and is told what came of them."""

    def point(self, outer: int) -> Point | None:
        """The outer point of this index; None when the design has no further points."""

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Learn of an outer point that an earlier run has started."""

    def tell(self, outer: int, value: float | None) -> None:
        """Learn the value of an outer point; None when it failed."""

"""What every sampler does."""

from collections.abc import Mapping
from typing import Protocol

from search.events import Value
from search.problem import Values
from search.space import Point


class Sampler(Protocol):
    """Chooses outer points and is told what came of them."""

    def point(self, outer: int, attempt: int = 0) -> Point | None:
        """The outer point of this index; None when the design has no further points.

        A caller who cannot use a point asks again, with ``attempt`` 1, 2, …; a declared design gives another one, which
        is a function of the seed, the index and the attempt alone.
        """

    def restore(self, outer: int, values: Mapping[str, Value]) -> None:
        """Learn of an outer point that an earlier run has started, or that comes from elsewhere.

        Points from elsewhere (given by a user, or of earlier studies) have negative indices: a design's own indices
        stay what they are. Where all points that were asked for under an index had been tried before, another one
        takes their place by this.
        """

    def tell(self, outer: int, values: Values | None) -> None:
        """Learn the objectives of an outer point; None when it failed."""

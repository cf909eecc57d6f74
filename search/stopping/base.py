"""What every stopping rule does."""

from abc import ABC, abstractmethod

from search.stopping.curves import Curves


class StoppingRule(ABC):
    """Decides from annealed losses which trials stop early. Smaller losses are better.

    A rule is plain and deterministic: what it answers follows from what was reported so far, whatever the order in
    which other trials reported it, and a report that is repeated counts once. So a search that goes on tells it the
    stored evaluations again, and a replay without a cluster tells it recorded ones.
    """

    def __init__(self, last: int) -> None:
        self.last = last
        """Number of the evaluation at the end of a run; evaluations are counted from 1."""
        self.curves = Curves(last)

    @property
    @abstractmethod
    def evaluations(self) -> tuple[int, ...]:
        """The evaluations before the last one that the rule reads, ascending; a run may leave the others out."""

    def report(self, number: int, evaluation: int, value: float) -> str | None:
        """Learn the annealed loss of trial ``number`` at an evaluation; why it is to stop now, None if it goes on.

        The last evaluation is reported as well: it ends the trial, and says what others are compared with.
        """
        self.curves.add(number, evaluation, value)
        return self._reason_to_stop(number, evaluation) if evaluation in self.evaluations else None

    @abstractmethod
    def _reason_to_stop(self, number: int, evaluation: int) -> str | None:
        """Why a trial that has just reported is to stop; None if it goes on."""


class Never(StoppingRule):
    """Every trial runs to its end."""

    @property
    def evaluations(self) -> tuple[int, ...]:
        """None: it reads nothing."""
        return ()

    def _reason_to_stop(self, number: int, evaluation: int) -> str | None:
        return None

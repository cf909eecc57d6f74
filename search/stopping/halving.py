"""Asynchronous successive halving, with one bracket or with Hyperband's."""

import math

import numpy as np

from search.stopping.base import StoppingRule


class Asha(StoppingRule):
    """Asynchronous successive halving in the form that stops (arXiv 1810.05934, algorithm 2), with one bracket.

    Rung k is evaluation ``grace`` × ``reduction_factor``^k. A trial that reaches a rung goes on while it is among the
    best 1 / ``reduction_factor`` of those that reached it so far, itself included, rounded down; the best always is.
    The paper pauses the others and may promote them later; here they end, so that nothing need be kept of them.
    """

    def __init__(self, last: int, reduction_factor: int, grace: int) -> None:
        super().__init__(last)
        self._reduction_factor = reduction_factor
        self._rungs = rungs(last, reduction_factor, grace)

    @property
    def evaluations(self) -> tuple[int, ...]:
        """The rungs."""
        return self._rungs

    def _reason_to_stop(self, number: int, evaluation: int) -> str | None:
        bracket = self.bracket(number)
        rung = self._rungs.index(evaluation)
        if rung < bracket:
            return None
        rivals = {other: value for other, value in self.curves.at(evaluation).items() if self.bracket(other) == bracket}
        place = 1 + sum(value < rivals[number] for value in rivals.values())
        if place <= max(1, len(rivals) // self._reduction_factor):
            return None
        where = f"rung {rung + 1} (evaluation {evaluation} of {self.last})"
        return f"{where}: place {place} of {len(rivals)}, not among the best 1/{self._reduction_factor}"

    def bracket(self, number: int) -> int:
        """The bracket of a trial, which is the number of rungs that do not stop it; trials of one are compared."""
        return 0


class Hyperband(Asha):
    """Hyperband (arXiv 1603.06560, algorithm 1) with the brackets of arXiv 1810.05934, each halved asynchronously.

    Bracket s leaves out the first s rungs; the last one stops nothing. Where rungs mislead, since good trials learn
    slowly at first, the later brackets still find them. Consecutive trials make up rounds with as many of every
    bracket as Hyperband's, each in an order that follows from the seed and the round alone.
    """

    def __init__(self, last: int, reduction_factor: int, grace: int, seed: int) -> None:
        super().__init__(last, reduction_factor, grace)
        sizes = bracket_sizes(len(self._rungs), reduction_factor)
        self._round = np.repeat(np.arange(len(sizes)), sizes)
        self._seed = seed
        self._rounds: dict[int, list[int]] = {}

    def bracket(self, number: int) -> int:
        """The bracket of a trial."""
        index, place = divmod(number, len(self._round))
        if index not in self._rounds:
            self._rounds[index] = np.random.default_rng([self._seed, index]).permutation(self._round).tolist()
        return self._rounds[index][place]


def rungs(last: int, reduction_factor: int, grace: int) -> tuple[int, ...]:
    """The evaluations at which trials of ``last`` evaluations are compared; the last one stops nobody."""
    found = []
    evaluation = grace
    while evaluation < last:
        found.append(evaluation)
        evaluation *= reduction_factor
    return tuple(found)


def bracket_sizes(rung_count: int, reduction_factor: int) -> list[int]:
    """Trials of each bracket in one round of Hyperband, the bracket with all rungs first.

    They are ⌈(s_max + 1) / (s + 1) · η^s⌉, s being the rungs of the bracket (arXiv 1603.06560, algorithm 1).
    """
    return [
        math.ceil((rung_count + 1) * reduction_factor**halvings / (halvings + 1))
        for halvings in range(rung_count, -1, -1)
    ]

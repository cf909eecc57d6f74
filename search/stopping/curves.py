"""What trials reported at their annealed evaluations."""

from collections import defaultdict
from statistics import median


class Curves:
    """The annealed losses of a study's trials, by number and evaluation.

    A trial that runs again, after its worker died or a search went on, replaces what it reported before.
    """

    def __init__(self, last: int) -> None:
        self._last = last
        self._values: dict[int, dict[int, float]] = defaultdict(dict)
        """By evaluation, then by trial."""

    def add(self, number: int, evaluation: int, value: float) -> None:
        """Keep what a trial reported."""
        self._values[evaluation][number] = value

    def at(self, evaluation: int) -> dict[int, float]:
        """What the trials that came so far reported at an evaluation, by number."""
        return self._values[evaluation]

    def of(self, number: int) -> dict[int, float]:
        """What a trial reported, by evaluation, ascending."""
        return {each: values[number] for each, values in sorted(self._values.items()) if number in values}

    @property
    def finals(self) -> dict[int, float]:
        """The losses of the trials that reached their end, by number."""
        return self._values[self._last]

    def expected_final(self, number: int) -> float:
        """What a trial that was stopped would have reached at its end: a guess, for samplers.

        Its last loss, less the median of what the finished trials still gained from that evaluation on; never below the
        best finished trial, since it was stopped for not beating it. A sampler that were told the last loss itself
        would rank trials by how long they ran. Before any trial has finished it is the last loss.
        """
        evaluation, value = list(self.of(number).items())[-1]
        reached = self._values[evaluation]
        gains = [reached[other] - final for other, final in self.finals.items() if other in reached]
        return max(value - median(gains), min(self.finals.values())) if gains else value

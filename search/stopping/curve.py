"""Stopping by the extrapolated learning curve."""

import numpy as np

from search.stopping.base import StoppingRule
from search.stopping.extrapolation import Extrapolation
from search.stopping.halving import rungs

SPACING = 2
"""Factor between the evaluations that are read: a power law is a line in logarithms, and each annealed evaluation costs
a cooldown (assumed)."""
LEAST_EVALUATIONS = 3
"""Evaluations from which a curve is extrapolated: those that its three parameters need."""
LEAST_FINISHED = 5
"""Finished trials before any is stopped (assumed; from so many the false stops of docs/benchmarks.md are measured)."""
MOST_FINISHED = 500
"""Finished trials that a prediction is made from, the latest ones, so that it stays cheap (measured: 2.8 ms from 1000
finished trials)."""


class Curve(StoppingRule):
    """Stops a trial whose extrapolated last loss is unlikely to beat the best one so far.

    That is the predictive termination of Domhan, Springenberg and Hutter (IJCAI 2015, section 4), who stop below a
    probability of 0.05 as well; the curves here are annealed losses at evaluations 1, 2, 4, …, and the prediction is
    ``search.stopping.extrapolation``'s. A trial is judged from its third such evaluation on, once ``LEAST_FINISHED``
    others have reached their end.
    """

    def __init__(self, last: int, grace: int, least_chance: float) -> None:
        super().__init__(last)
        self._grace = grace
        self._least_chance = least_chance
        self._evaluations = rungs(last, SPACING, 1)
        self._shares_k = np.array([*self._evaluations, last]) / last
        self._extrapolation: Extrapolation | None = None
        """From the finished trials, while there is no further one."""

    @property
    def evaluations(self) -> tuple[int, ...]:
        """1, 2, 4, …"""
        return self._evaluations

    def report(self, number: int, evaluation: int, value: float) -> str | None:
        """Learn a loss; a last one makes the finished trials others."""
        if evaluation == self.last:
            self._extrapolation = None
        return super().report(number, evaluation, value)

    def _reason_to_stop(self, number: int, evaluation: int) -> str | None:
        count = self._evaluations.index(evaluation) + 1
        if evaluation < self._grace or count < LEAST_EVALUATIONS:
            return None
        extrapolation = self._from_finished()
        if extrapolation is None:
            return None
        losses_k = np.array([self.curves.at(each)[number] for each in self._evaluations[:count]])
        prediction = extrapolation.predict(losses_k)
        best = min(self.curves.finals.values())
        chance = prediction.chance_below(best)
        if not chance < self._least_chance:
            return None
        expected = f"expected to end at {prediction.mean:.4g} ± {prediction.deviation:.2g}"
        return f"evaluation {evaluation} of {self.last}: {expected}, a chance of {chance:.1%} to beat {best:.4g}"

    def _from_finished(self) -> Extrapolation | None:
        """What the finished trials say; None while they are too few."""
        if self._extrapolation is None:
            evaluations = (*self._evaluations, self.last)
            levels = [self.curves.at(each) for each in evaluations]
            finished = sorted(set.intersection(*map(set, levels)))[-MOST_FINISHED:]
            if len(finished) >= LEAST_FINISHED:
                losses_nk = np.array([[level[number] for level in levels] for number in finished])
                self._extrapolation = Extrapolation(self._shares_k, losses_nk)
        return self._extrapolation

"""What a vocabulary law knows of its study before anything is fitted."""

from collections.abc import Sequence
from dataclasses import dataclass

from studies.formulas.fitting.fit import Interval
from studies.formulas.formula import PaperClaim
from studies.formulas.observations import FitContext, Observation
from studies.formulas.vocabulary.grounds import Grounds
from studies.formulas.vocabulary.networks import Networks


@dataclass(frozen=True, slots=True)
class VocabularyStudy:
    """Trials, what they hold equal, and the networks among them."""

    observations: Sequence[Observation]
    grounds: Grounds
    found: Networks

    @property
    def context(self) -> FitContext:
        """With the metric by which vocabularies are compared."""
        return self.grounds.context

    @property
    def metric(self) -> str:
        """Bits per byte wherever trials report them."""
        return self.grounds.context.metric

    @property
    def runs_each(self) -> int:
        """Trials of one network, at least three rates."""
        return max([3, *(row.runs for row in self.found.rows)])

    @property
    def claim(self) -> PaperClaim:
        """F1: the compact vocabulary that the rule picks is no worse than the largest tried."""
        region = (None, 0.0) if self.context.direction == "minimize" else (0.0, None)
        return PaperClaim(formula="F1", region=region, test="sign")

    def oriented(self, interval: Interval) -> Interval:
        """From cost to metric: reversed where the metric is maximised."""
        if self.context.direction == "minimize":
            return interval
        return Interval(-interval.estimate, -interval.high, -interval.low)

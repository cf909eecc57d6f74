"""The batches of a run in rounds, as a function of the step."""

import numpy as np
import numpy.typing as npt

from trainer.config import ProxyConfig
from trainer.plan import RunPlan
from trainer.rounds.plan import RoundPlan
from trainer.text.data import Batches
from trainer.text.shards import TokenArray

Order = npt.NDArray[np.int32]


class RoundBatches(Batches):
    """Batches whose later rounds come again in an order that is chosen when the round before has ended.

    Args:
        tokens, sequence_length, batch_tokens, seed: as for :class:`Batches`, which the first round reads.
        plan: the run's rounds.
        fresh: whether later rounds read on instead.
    """

    def __init__(
        self, tokens: TokenArray, sequence_length: int, batch_tokens: int, seed: int, plan: RoundPlan, fresh: bool
    ) -> None:
        super().__init__(tokens, sequence_length, batch_tokens, seed)
        self.plan, self.fresh = plan, fresh
        self.orders: dict[int, Order] = {}
        """By the round, the batches that it trains on, counted from 0."""
        self.gains: dict[int, float] = {}
        """By the round that was chosen by losses, their mean less that of all batches, in nats per token."""

    def is_known(self, step: int) -> bool:
        """See :class:`Batches`: a later round is known once it has been chosen."""
        number = self.plan.round_at(step)
        end = self.plan.start(number) + (self.plan.first_steps if number == 1 else self.plan.later_steps)
        return step <= end and (self.fresh or number == 1 or number in self.orders)

    def batch(self, step: int) -> npt.NDArray[np.int64]:
        """See :class:`Batches`."""
        return super().batch(int(self.places(step, step)[0]) + 1)

    def places(self, first: int, last: int) -> Order:
        """The batches of the corpus, counted from 0, that steps ``first`` to ``last`` of one round train on."""
        number = self.plan.round_at(first)
        if self.fresh or number == 1:
            return np.arange(first - 1, last, dtype=np.int32)
        start = self.plan.start(number)
        return self.orders[number][first - 1 - start : last - start]

    def unique_tokens(self, step: int) -> int:
        """See :class:`Batches`: later rounds show nothing new, unless they are fresh."""
        return super().unique_tokens(step if self.fresh else min(step, self.plan.first_steps))


def make_batches(config: ProxyConfig, plan: RunPlan, tokens: TokenArray) -> Batches:
    """The batches of one member, in the rounds of ``plan`` where it has several.

    Raises:
        InvalidInput: the training side is shorter than one sequence.
    """
    sizes = (config.architecture.sequence_length, config.optimization.batch_tokens)
    if plan.rounds is None or plan.rounds.rounds == 1:
        return Batches(tokens, *sizes, config.seed)
    return RoundBatches(tokens, *sizes, config.seed, plan.rounds, config.multiple_rounds.selection == "fresh")

"""What a run in rounds does beside training: it records losses, and chooses a round when the one before has ended."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from trainer.parallel.world import World
from trainer.rounds.batches import RoundBatches
from trainer.rounds.config import RoundsConfig
from trainer.rounds.plan import RoundPlan
from trainer.rounds.recording import LossRecord
from trainer.rounds.selection import select_round
from trainer.text.data import Batches


class Rounds:
    """Rounds of batches that have been trained on, whose choice it puts into ``batches``.

    Every process of the run makes one and calls it at the same steps; all train what the first one chooses, which a
    last digit of a loss that another host computes otherwise cannot change.

    Args:
        config: what the members share.
        plan: of more than one round.
        batches: of each member; not fresh ones, of which there is nothing to choose.
        world: the processes that train one network.
    """

    def __init__(self, config: RoundsConfig, plan: RoundPlan, batches: Sequence[RoundBatches], world: World) -> None:
        self.config, self.plan, self.batches, self._world = config, plan, batches, world
        self.record = LossRecord(len(batches), plan.first_steps, world) if config.uses_losses else None
        self._round, self._read = 1, 0

    def add(self, step: int, nats_m: Tensor) -> None:
        """Record the losses of the batches of ``step``, which is of the present round."""
        if self.record is not None and not self.config.measures_at_end:
            self.record.add(step - 1 - self.plan.start(self._round), nats_m)

    def read(self, step: int) -> None:
        """Bring the losses up to those of ``step``, the last one that was done; a collective call."""
        start = self.plan.start(self._round)
        done = step - start
        if self.record is None or self.config.measures_at_end or done == self._read:
            return
        trained = [batches.places(start + self._read + 1, step) for batches in self.batches]
        self.record.read(slice(self._read, done), trained)
        self._read = done

    def end(self, step: int, measure: Callable[[int], Tensor]) -> None:
        """Choose the next round after ``step``, the last one of the present round.

        ``measure`` gives the losses, as they are now, of the batches of a step of the first round; it is asked where
        losses are those at the round's end.
        """
        if self.record is not None and self.config.measures_at_end:
            every = np.arange(self.plan.first_steps, dtype=np.int32)
            for place in range(every.size):
                self.record.add(place, measure(place + 1))
            self.record.read(slice(0, every.size), [every] * len(self.batches))
        self.read(step)
        self._choose(self._round + 1)
        self.go_on(step)

    def _choose(self, number: int) -> None:
        for index, batches in enumerate(self.batches):
            losses = self.record.losses[index] if self.record else np.zeros(self.plan.first_steps, dtype=np.float32)
            own = select_round(losses, self.plan, self.config.selection, batches.seed, number)
            order = self._world.of_first(torch.from_numpy(own).to(self._world.device)).cpu().numpy()
            batches.orders[number] = order
            if self.record is not None:
                batches.gains[number] = float(losses[order].mean(dtype=np.float64) - losses.mean(dtype=np.float64))

    def go_on(self, step: int) -> None:
        """Begin or resume the round that follows ``step``; everything up to there has been read."""
        self._round = self.plan.round_at(step + 1)
        self._read = step - self.plan.start(self._round)


def make_rounds(config: RoundsConfig, batches: Sequence[Batches], world: World) -> Rounds | None:
    """What records and chooses, in a run whose later rounds come back to the first one; None for any other."""
    of_rounds = [each for each in batches if isinstance(each, RoundBatches) and not each.fresh]
    return Rounds(config, of_rounds[0].plan, of_rounds, world) if of_rounds else None

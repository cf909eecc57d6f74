"""The latest loss of each batch of the first round, kept on the device until somebody asks.

Shapes: m members of a stack, t steps of a round.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.parallel.world import World


class LossRecord:
    """The losses of all members; what one process adds is its part of a batch, what is read is the mean over all."""

    def __init__(self, members: int, steps: int, world: World) -> None:
        self.losses = np.full((members, steps), np.nan, dtype=np.float32)
        """Nats per token of each member's batches of the first round, as far as they were read; else NaN."""
        self._world = world
        self._waiting_mt = torch.zeros(members, steps, device=world.device)

    def add(self, place: int | slice, nats: Tensor) -> None:
        """Keep the losses ``m`` of the round's step ``place``, counted from 0, or ``mt`` of several steps, without
        waiting for the device.
        """
        self._waiting_mt[:, place] = nats

    def read(self, places: slice, batches: Sequence[npt.NDArray[np.integer]]) -> None:
        """Move what was added at ``places`` into ``losses``; a collective call.

        Args:
            places: steps of the round.
            batches: of each member, the batches that were trained at those steps.
        """
        read_mt = self._world.mean(self._waiting_mt[:, places]).cpu().numpy()
        for losses, own, values in zip(self.losses, batches, read_mt, strict=True):
            losses[own] = values

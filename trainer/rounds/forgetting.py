"""How well a network still knows each part of the first round: its loss on a fixed sample of every part that has ended.

Shapes: m members of a stack, b sequences, s positions.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainer.execution import Execution
from trainer.loss import IGNORED
from trainer.parallel.world import World
from trainer.program import Program
from trainer.rounds.measuring import summed_nats
from trainer.rounds.plan import RoundPlan
from trainer.text.data import Batches

SAMPLE_TOKENS = 4096
"""Tokens of a part's sample, at least a sequence (assumed: one forward pass of a CPU; with 8 parts about as many tokens
as the default validation text)."""
MEASURED_PARTS = 16
"""Most parts that are measured, evenly spaced among more (assumed: the curves of a plot)."""
SAMPLE_STREAM = 2
"""First entry of the spawn keys of the samples' generators (see ``selection.SELECTION_STREAM``)."""


class PartSamples:
    """A few sequences of each part, the same through the whole run; of each member, from its own batches.

    Args:
        batches: of each member.
        plan: the parts.
        world: the processes, each of which measures its share of a sample.
    """

    def __init__(self, batches: Sequence[Batches], plan: RoundPlan, world: World) -> None:
        self._plan, self._world = plan, world
        count = min(plan.parts, MEASURED_PARTS)
        parts = sorted({(place + 1) * plan.parts // count for place in range(count)})
        self._samples = {part: _sample(batches, plan, part).to(world.device) for part in parts}

    def measure(self, program: Program, step: int, execution: Execution) -> list[dict[int, float]]:
        """Of each member the loss on the parts that have ended by ``step``, nats per token, by the part from 1."""
        ended = [part for part in self._samples if part <= self._plan.ended_parts(step)]
        losses = {part: self._loss(program, self._samples[part], execution) for part in ended}
        members = len(next(iter(self._samples.values())))
        return [{part: losses[part][member] for part in ended} for member in range(members)]

    def _loss(self, program: Program, tokens_mbs: Tensor, execution: Execution) -> list[float]:
        own_mbs, targets_mbs = self._own(tokens_mbs)
        total_m = self._world.sum(summed_nats(program, own_mbs, targets_mbs, execution))
        losses: list[float] = (total_m / tokens_mbs[0, :, 1:].numel()).tolist()
        return losses

    def _own(self, tokens_mbs: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets of this process; every process has as many sequences, some of which are not predicted."""
        missing = -tokens_mbs.shape[1] % self._world.size
        inputs_mbs = torch.nn.functional.pad(tokens_mbs[..., :-1], (0, 0, 0, missing))
        targets_mbs = torch.nn.functional.pad(tokens_mbs[..., 1:], (0, 0, 0, missing), value=IGNORED)
        share = self._world.share(inputs_mbs.shape[1])
        return inputs_mbs[:, share], targets_mbs[:, share]


def _sample(batches: Sequence[Batches], plan: RoundPlan, part: int) -> Tensor:
    """Sequences ``mbs`` of S + 1 tokens from different places of a part, counted from 1."""
    low, high = (bound * batches[0].batch_sequences for bound in plan.part_bounds[part - 1 : part + 1])
    count = min(max(SAMPLE_TOKENS // batches[0].sequence_length, 1), high - low)
    chosen = []
    for own in batches:
        seeded = np.random.SeedSequence(own.seed, spawn_key=(SAMPLE_STREAM, part))
        chosen.append(own.sequences_at(low + np.random.default_rng(seeded).choice(high - low, count, replace=False)))
    return torch.from_numpy(np.stack(chosen))

"""The loss of a network that is not being trained on given sequences.

Shapes: m members of a stack, b sequences, s positions.
"""

import math

import torch
from torch import Tensor

from trainer.execution import Execution
from trainer.machine.precision import autocast
from trainer.program import Program


@torch.no_grad()
def summed_nats(program: Program, inputs_mbs: Tensor, targets_mbs: Tensor, execution: Execution) -> Tensor:
    """Cross-entropy ``m`` of each member on its own sequences, float64, summed over the targets that are predicted."""
    total_m = torch.zeros(len(inputs_mbs), dtype=torch.float64, device=inputs_mbs.device)
    pieces = math.ceil(inputs_mbs.shape[1] / execution.micro_batch)
    cut = zip(inputs_mbs.tensor_split(pieces, dim=1), targets_mbs.tensor_split(pieces, dim=1), strict=True)
    for inputs, targets in cut:
        with autocast(execution.precision, inputs_mbs.device):
            total_m = total_m + program.nats_of_each(inputs, targets)
    return total_m


def mean_nats(program: Program, tokens_mbs: Tensor, execution: Execution) -> Tensor:
    """Mean cross-entropy ``m`` per token of sequences of S + 1 tokens, all of which are predicted."""
    targets_mbs = tokens_mbs[..., 1:]
    return summed_nats(program, tokens_mbs[..., :-1], targets_mbs, execution) / targets_mbs[0].numel()

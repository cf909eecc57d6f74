"""Bits per byte: every byte of the fixed validation text is predicted exactly once, whatever the tokenizer.

Tokens are cut into windows of S that share no target. A window sees nothing before itself, as in training, so a larger
vocabulary sees more bytes of context. END_OF_TEXT stands for no byte of the text and is given, never predicted.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from model.tokenizer import END_OF_TEXT_ID
from trainer.config import Precision
from trainer.loss import IGNORED
from trainer.machine.precision import autocast
from trainer.parallel.world import World
from trainer.results import Evaluation
from trainer.text.data import PreparedData


class Evaluator:
    """The fixed text as windows on the device, cut once for a run; each process of ``world`` has as many of them."""

    def __init__(self, data: PreparedData, sequence_length: int, batch_sequences: int, world: World) -> None:
        inputs_ns, targets_ns = windows(data, sequence_length, world.size)
        part = world.share(len(inputs_ns))
        inputs = torch.split(inputs_ns[part].to(world.device), batch_sequences)
        targets = torch.split(targets_ns[part].to(world.device), batch_sequences)
        self.batches = list(zip(inputs, targets, strict=True))
        self.text_tokens = int((targets_ns != IGNORED).sum())
        self.text_bytes = data.manifest.validation_bytes
        self.world = world

    @torch.no_grad()
    def evaluate(self, nats: Callable[[Tensor, Tensor], Tensor], precision: Precision) -> list[Evaluation]:
        """Measure every member of a program: nats per text token, and bits per byte.

        ``nats`` gives the summed cross-entropy ``m`` of inputs and targets ``bs``, as ``Program.nats`` does.
        """
        total_m = torch.zeros((), dtype=torch.float64, device=self.world.device)
        for inputs_bs, targets_bs in self.batches:
            with autocast(precision, self.world.device):
                total_m = total_m + nats(inputs_bs, targets_bs)
        total_m = self.world.sum(total_m)
        bits = math.log(2) * self.text_bytes
        return [Evaluation(total / self.text_tokens, total / bits) for total in total_m.tolist()]


def windows(data: PreparedData, sequence_length: int, multiple: int = 1) -> tuple[Tensor, Tensor]:
    """Cut the validation tokens into inputs and targets (windows, S); padding is not predicted.

    The number of windows is a multiple of ``multiple``.
    """
    tokens = data.validation.astype(np.int64)
    targets = np.where(tokens[1:] == END_OF_TEXT_ID, IGNORED, tokens[1:])
    padding = -targets.size % (sequence_length * multiple)
    inputs = np.pad(tokens[:-1], (0, padding), constant_values=END_OF_TEXT_ID)
    targets = np.pad(targets, (0, padding), constant_values=IGNORED)
    shape = (-1, sequence_length)
    return torch.from_numpy(inputs.reshape(shape)), torch.from_numpy(targets.reshape(shape))

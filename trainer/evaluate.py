"""Bits per byte: every byte of the fixed validation text is predicted exactly once, whatever the tokenizer.

Tokens are cut into windows of S that share no target. A window sees nothing before itself, as in training, so a larger
vocabulary sees more bytes of context. END_OF_TEXT stands for no byte of the text and is given, never predicted.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.tokenizer import END_OF_TEXT_ID
from trainer.config import Precision
from trainer.data import PreparedData
from trainer.precision import autocast
from trainer.results import Evaluation

IGNORED = -100
"""A target that is not predicted."""


class Evaluator:
    """The fixed text as windows on the device, cut once for a run."""

    def __init__(self, data: PreparedData, sequence_length: int, batch_sequences: int, device: torch.device) -> None:
        inputs_ns, targets_ns = windows(data, sequence_length)
        inputs = torch.split(inputs_ns.to(device), batch_sequences)
        targets = torch.split(targets_ns.to(device), batch_sequences)
        self.batches = list(zip(inputs, targets, strict=True))
        self.text_tokens = int((targets_ns != IGNORED).sum())
        self.text_bytes = data.manifest.validation_bytes
        self.device = device

    @torch.no_grad()
    def evaluate(self, network: nn.Module, precision: Precision) -> Evaluation:
        """Measure the network: nats per text token, and bits per byte."""
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for inputs_bs, targets_bs in self.batches:
            with autocast(precision, self.device):
                logits_bsv = network(inputs_bs)
            loss = F.cross_entropy(
                logits_bsv.float().flatten(0, 1), targets_bs.flatten(), ignore_index=IGNORED, reduction="sum"
            )
            total += loss.double()
        nats = total.item()
        return Evaluation(nats / self.text_tokens, nats / math.log(2) / self.text_bytes)


def windows(data: PreparedData, sequence_length: int) -> tuple[Tensor, Tensor]:
    """Cut the validation tokens into inputs and targets (windows, S); padding is not predicted."""
    tokens = data.validation.astype(np.int64)
    targets = np.where(tokens[1:] == END_OF_TEXT_ID, IGNORED, tokens[1:])
    padding = -targets.size % sequence_length
    inputs = np.pad(tokens[:-1], (0, padding), constant_values=END_OF_TEXT_ID)
    targets = np.pad(targets, (0, padding), constant_values=IGNORED)
    shape = (-1, sequence_length)
    return torch.from_numpy(inputs.reshape(shape)), torch.from_numpy(targets.reshape(shape))

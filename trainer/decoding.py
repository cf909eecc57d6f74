"""How fast a trained network decodes, under one protocol for every trial.

The paper's (arXiv 2402.02791, F2) is a batch of 20, 510 new tokens after a prompt of 2; ours is shorter,
because it is measured at the end of every trial. Tokens of all sequences are counted. The time of a token depends on
the network's shape, not on its weights.
"""

import statistics
import time
from dataclasses import dataclass

import torch

from model.decode import greedy
from model.tokenizer import END_OF_TEXT_ID
from model.transformer import Transformer
from trainer.config import Precision
from trainer.machine.precision import autocast

SEQUENCES = 20
"""Decoded side by side (arXiv 2402.02791, F2)."""
PROMPT_TOKENS = 2
"""Of each sequence (arXiv 2402.02791, F2)."""
NEW_TOKENS = 30
"""Of each sequence, or as many as its length allows (assumed: measured in 0.4 s at 1M parameters and 4 layers)."""
REPETITIONS = 3
"""The speed is their median (assumed)."""
SHARE_OF_TRAINING = 0.02
"""No repetition begins once measuring has taken this share of the training time; the first always does (assumed)."""


@dataclass(frozen=True, slots=True)
class DecodingSpeed:
    """What was measured."""

    tokens_per_second: float
    seconds: float
    """Spent on measuring, the warm-up included."""


@torch.no_grad()
def measure_decoding(network: Transformer, precision: Precision, training_seconds: float) -> DecodingSpeed:
    """Decode greedily with kept keys and values, on the run's device, in its precision and with its threads."""
    device = network.embedding.weight.device
    prompt_tokens = min(PROMPT_TOKENS, network.config.sequence_length - 1)
    new_tokens = min(NEW_TOKENS, network.config.sequence_length - prompt_tokens)
    prompt_bs = torch.full((SEQUENCES, prompt_tokens), END_OF_TEXT_ID, device=device)
    start = time.perf_counter()
    seconds = []
    with autocast(precision, device):
        greedy(network, prompt_bs, min(2, new_tokens))  # kernels are chosen and weights are cast once
        for _ in range(REPETITIONS):
            began = _now(device)
            greedy(network, prompt_bs, new_tokens)
            seconds.append(_now(device) - began)
            if time.perf_counter() - start > SHARE_OF_TRAINING * training_seconds:
                break
    rate = SEQUENCES * new_tokens / statistics.median(seconds)
    return DecodingSpeed(rate, time.perf_counter() - start)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()

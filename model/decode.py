"""Greedy decoding with kept keys and values: each token costs one position, not the whole sequence again.

Shapes: b batch, s prompt, v vocabulary.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from model.past import Past
from model.transformer import Transformer


@torch.no_grad()
def greedy(network: Transformer, prompt_bs: Tensor, new_tokens: int) -> Tensor:
    """Continue each prompt by its likeliest tokens: ``(b, s + new_tokens)``, the prompt included.

    ``s + new_tokens`` is at most ``config.sequence_length``. Nothing ends a sequence early.
    """
    chosen = [logits_bv.argmax(-1, keepdim=True) for logits_bv in greedy_logits(network, prompt_bs, new_tokens)]
    return torch.cat((prompt_bs, *chosen), dim=1)


def greedy_logits(network: Transformer, prompt_bs: Tensor, new_tokens: int) -> Iterator[Tensor]:
    """Logits ``bv`` of each new token, before it is chosen."""
    past = Past(len(network.blocks), prompt_bs.shape[1] + new_tokens)
    tokens_bs = prompt_bs
    for _ in range(new_tokens):
        logits_bv = F.linear(network.hidden(tokens_bs, past)[:, -1], network.head_vd)
        yield logits_bv
        tokens_bs = logits_bv.argmax(-1, keepdim=True)

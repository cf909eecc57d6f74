"""Formulary's own logits of an export, to compare those of other frameworks with; only checks import this."""

from pathlib import Path

import torch
from torch import Tensor

from model.llama_weights import load_weights
from model.transformer import Transformer
from model.weight_files import WEIGHTS_FILE
from trainer.run_folder import read_pretrain_config

TOKENS = 24
"""Longest sequence whose logits are compared."""
TOLERANCE = 1e-3
"""Most that logits may differ, of the largest one (assumed: float32 kernels differ by 1e-6)."""


def some_tokens(sequence_length: int, vocabulary: int) -> Tensor:
    """One sequence, ``bs``, of tokens that follow each other."""
    return torch.arange(min(TOKENS, sequence_length)).remainder(vocabulary)[None]


@torch.no_grad()
def compare(folder: Path, tokens_bs: Tensor, theirs_bsv: Tensor) -> str:
    """Compare logits of ``model.safetensors`` with Formulary's; how far they are apart.

    Raises:
        ValueError: too far.
    """
    network = Transformer(read_pretrain_config(folder).architecture)
    load_weights(network, folder / WEIGHTS_FILE)
    ours_bsv = network(tokens_bs)
    difference = float((theirs_bsv - ours_bsv).abs().max())
    if not difference <= TOLERANCE * float(ours_bsv.abs().max()):
        raise ValueError(f"its logits differ by {difference:.2g} from Formulary's")
    return f"its logits differ by at most {difference:.1g} from Formulary's"

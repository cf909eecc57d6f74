"""How the weights start: the schemes whose difference the paper found to be small (F3), and muP."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from model.config import InitScheme
from model.parametrisation import role, scales
from model.transformer import Transformer

_RESIDUAL_PROJECTIONS = ("attention.output.weight", "shortcut.restore.weight", "ffn.down.weight")


def constant(std: float, depth: int, layer: int) -> float:
    """The same deviation everywhere (arXiv 2402.02791, F3)."""
    return std


def gpt2(std: float, depth: int, layer: int) -> float:
    """Scale by 1 / √(residual layers), of which each block has two (GPT-2 report, section 2.3)."""
    return std / math.sqrt(2 * depth)


def internlm(std: float, depth: int, layer: int) -> float:
    """Scale by 1 / √(residual layers up to this block) (InternEvo, ``modeling_internlm2.py``, ``use_scaled_init``)."""
    return std / math.sqrt(2 * (layer + 1))


RESIDUAL_STD: dict[InitScheme, Callable[[float, int, int], float]] = {
    "constant": constant,
    "gpt2": gpt2,
    "internlm": internlm,
    "mup": constant,
}
"""Deviation, by scheme, of the projections that write to the residual stream, from that of the other matrices, the
depth and the block's index, which counts from 0. muP follows the width alone (``model.parametrisation``)."""


@torch.no_grad()
def initialize(network: Transformer, scheme: InitScheme, std: float, seed: int) -> None:
    """Draw every matrix and table from a normal distribution and set every vector to its start, in place.

    The draws are made in float32 on the CPU from a generator of their own: the weights depend on ``seed``, the shape
    and the scheme, not on the device or on what was drawn before. ``std`` is the deviation at the config's base width.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if role(name) == "vector":
            _start_vector(name, parameter)
            continue
        draws = torch.randn(parameter.shape, generator=generator)
        own = std * scales(name, network.config).std
        if name.endswith(_RESIDUAL_PROJECTIONS):
            own = RESIDUAL_STD[scheme](own, network.config.depth, int(name.split(".")[1]))
        parameter.copy_(draws * own)


def _start_vector(name: str, parameter: Tensor) -> None:
    """Gains start at 1; of a series activation the first term is the plain one and the others are 0 (assumed).

    Terms that start alike would stay alike: their gradients are equal.
    """
    parameter.fill_(1.0 if name.endswith("gain") else 0.0)
    if name.endswith("series.scale"):
        parameter[0] = 1.0

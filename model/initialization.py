"""How the weights start: the schemes whose difference the paper found to be small (F3)."""

import math
from collections.abc import Callable

import torch

from model.config import InitScheme
from model.transformer import Transformer

_RESIDUAL_PROJECTIONS = ("attention.output.weight", "ffn.down.weight")


def constant(std: float, depth: int) -> float:
    """The same deviation everywhere (arXiv 2402.02791, F3)."""
    return std


def gpt2(std: float, depth: int) -> float:
    """Scale by 1 / √(residual layers), of which each block has two (GPT-2 report, section 2.3)."""
    return std / math.sqrt(2 * depth)


RESIDUAL_STD: dict[InitScheme, Callable[[float, int], float]] = {"constant": constant, "gpt2": gpt2}
"""Deviation, by scheme, of the projections that write to the residual stream; every other matrix takes ``std``."""


@torch.no_grad()
def initialize(network: Transformer, scheme: InitScheme, std: float, seed: int) -> None:
    """Draw every matrix from a normal distribution and set every norm gain to one, in place.

    The draws are made in float32 on the CPU from a generator of their own: the weights depend on ``seed``, the shape
    and the scheme, not on the device or on what was drawn before.
    """
    generator = torch.Generator().manual_seed(seed)
    residual_std = RESIDUAL_STD[scheme](std, network.config.depth)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            parameter.fill_(1.0)
            continue
        draws = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(draws * (residual_std if name.endswith(_RESIDUAL_PROJECTIONS) else std))

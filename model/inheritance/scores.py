"""How much each unit of a network is worth, by its weights or by chance.

A unit's score sums the worth of every weight that would go with it (the coupled structures of LLM-Pruner, arXiv
2305.11627, section 3.1):

==========================  =============================================================================
unit                        weights
==========================  =============================================================================
FFN channel                 its rows of gate and up, its column of down
query head                  its rows of the query projection, its columns of the output projection
key and value head          its rows of the key and value projections, and all of the query heads it serves
channel of the residual     its columns of embedding, head, query, key, value, gate and up, its rows of output
stream                      and down, its gain in every norm
==========================  =============================================================================

``l1`` sums |w| (arXiv 1608.08710, section 3.1), ``l2`` is the root of the sum of w², which the same paper compares it
with. QK-norm's gains belong to all heads and count for none.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from model.inheritance.units import Scores
from model.transformer import Transformer

_READING = ("attention.query", "attention.key", "attention.value", "ffn.gate", "ffn.up")
_WRITING = ("attention.output", "ffn.down")
_NORMS = ("attention_norm", "ffn_norm")


def random(network: Transformer, seed: int) -> Scores:
    """Uniform draws from a generator of their own."""
    generator = torch.Generator().manual_seed(seed)
    config = network.config

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    return Scores(
        hidden_d=draw(config.width),
        heads_lk=draw(config.depth, config.kv_heads),
        queries_lh=draw(config.depth, config.heads),
        ffn_lf=draw(config.depth, config.ffn_width),
    )


@torch.no_grad()
def l1(network: Transformer) -> Scores:
    """Sum of the absolute weights of each unit."""
    return summed(network, {name: weight.abs() for name, weight in network.named_parameters()})


@torch.no_grad()
def l2(network: Transformer) -> Scores:
    """Euclidean norm of the weights of each unit."""
    squares = summed(network, {name: weight.square() for name, weight in network.named_parameters()})
    return Scores(
        hidden_d=squares.hidden_d.sqrt(),
        heads_lk=squares.heads_lk.sqrt(),
        queries_lh=squares.queries_lh.sqrt(),
        ffn_lf=squares.ffn_lf.sqrt(),
    )


def summed(network: Transformer, worth: Mapping[str, Tensor]) -> Scores:
    """Sum the worth of single weights, by the parameters' names and in their shapes, over each unit.

    The answer is in float64 on the CPU: a channel of a large network sums millions of weights.
    """
    config = network.config
    exact = {name: values.detach() for name, values in worth.items()}

    def by_row(layer: int, name: str) -> Tensor:
        return exact[f"blocks.{layer}.{name}.weight"].sum(1, dtype=torch.float64).cpu()

    def by_column(layer: int, name: str) -> Tensor:
        return exact[f"blocks.{layer}.{name}.weight"].sum(0, dtype=torch.float64).cpu()

    layers = range(config.depth)
    queries_lh = torch.stack(
        [
            (by_row(layer, "attention.query") + by_column(layer, "attention.output")).view(config.heads, -1).sum(1)
            for layer in layers
        ]
    )
    keys_lk = torch.stack(
        [
            (by_row(layer, "attention.key") + by_row(layer, "attention.value")).view(config.kv_heads, -1).sum(1)
            for layer in layers
        ]
    )
    ffn_lf = torch.stack(
        [by_row(layer, "ffn.gate") + by_row(layer, "ffn.up") + by_column(layer, "ffn.down") for layer in layers]
    )
    hidden_d = exact["embedding.weight"].sum(0, dtype=torch.float64).cpu() + exact["norm.gain"].double().cpu()
    if "head.weight" in exact:
        hidden_d = hidden_d + exact["head.weight"].sum(0, dtype=torch.float64).cpu()
    for layer in layers:
        hidden_d = hidden_d + sum(by_column(layer, name) for name in _READING)
        hidden_d = hidden_d + sum(by_row(layer, name) for name in _WRITING)
        hidden_d = hidden_d + sum(exact[f"blocks.{layer}.{name}.gain"].double().cpu() for name in _NORMS)
    groups_lk = queries_lh.view(config.depth, config.kv_heads, -1).sum(2)
    return Scores(hidden_d=hidden_d, heads_lk=keys_lk + groups_lk, queries_lh=queries_lh, ffn_lf=ffn_lf)

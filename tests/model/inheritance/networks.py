"""Tiny parents and students of every shape that can be inherited, and a parent whose dropped units are masked."""

import copy
from typing import Any

import torch
from hypothesis import strategies as st

from model.config import ArchitectureConfig
from model.inheritance.units import Selection
from model.inheritance.vocabulary import TokenMap
from model.initialization import initialize
from model.transformer import Transformer

VOCABULARY = 40
SAME_TOKENS = TokenMap(tuple(range(VOCABULARY)), {})


def architecture(**fields: Any) -> ArchitectureConfig:
    given = {"vocabulary_size": VOCABULARY, "depth": 3, "width": 16, "ffn_width": 12, "head_dim": 4}
    return ArchitectureConfig(**{**given, "sequence_length": 12, **fields})


def network(config: ArchitectureConfig, seed: int = 0) -> Transformer:
    """Weights of order 1 in every tensor, gains that differ."""
    built = Transformer(config)
    initialize(built, "constant", 0.3, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, gain in built.named_parameters():
        if name.endswith("gain"):
            torch.nn.init.uniform_(gain, 0.5, 1.5, generator)
    return built


def tokens(seed: int = 1) -> torch.Tensor:
    return torch.randint(VOCABULARY, (2, 10), generator=torch.Generator().manual_seed(seed))


@st.composite
def families(draw: st.DrawFn) -> tuple[ArchitectureConfig, ArchitectureConfig]:
    """A parent and a student that can inherit from it."""
    head_dim = draw(st.sampled_from([2, 4]))
    kv_heads, group = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    their_kv_heads, their_group = draw(st.integers(1, kv_heads)), draw(st.integers(1, group))
    depth, ffn_width = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    parent = architecture(
        depth=depth,
        width=head_dim * kv_heads * group,
        ffn_width=ffn_width,
        head_dim=head_dim,
        kv_heads=kv_heads,
        tied_head=draw(st.booleans()),
        qk_norm=draw(st.booleans()),
    )
    changed = {
        "depth": draw(st.integers(1, depth)),
        "width": head_dim * their_kv_heads * their_group,
        "ffn_width": draw(st.integers(1, ffn_width)),
        "kv_heads": their_kv_heads,
    }
    return parent, parent.model_copy(update=changed)


@torch.no_grad()
def masked(parent: Transformer, kept: Selection) -> Transformer:
    """The parent with what was not kept set to 0, and layers left out; its norms divide by the kept channels alone.

    Zeros in the residual stream change a norm by its mean alone, which is over all channels: gain and eps make up for
    that.
    """
    config = parent.config
    answer = copy.deepcopy(parent)
    answer.blocks = torch.nn.ModuleList(answer.blocks[layer] for layer in kept.layers)
    hidden_d = _mask(config.width, kept.hidden)
    share = len(kept.hidden) / config.width
    answer.embedding.weight *= hidden_d
    for name, module in answer.named_modules():
        if name.split(".")[-1] in ("attention_norm", "ffn_norm", "norm"):
            module.gain *= share**0.5  # type: ignore[operator, union-attr]
            module.eps *= share  # type: ignore[operator, assignment]
    for place, block in enumerate(answer.blocks):
        channels = _mask(config.heads, kept.queries[place]).repeat_interleave(config.head_dim)
        block.attention.output.weight *= channels * hidden_d[:, None]  # type: ignore[operator, union-attr]
        block.ffn.down.weight *= _mask(config.ffn_width, kept.ffn[place]) * hidden_d[:, None]  # type: ignore[operator, union-attr]
    return answer


def _mask(size: int, kept: tuple[int, ...]) -> torch.Tensor:
    return torch.zeros(size).index_fill(0, torch.tensor(kept), 1.0)

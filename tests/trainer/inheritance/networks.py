"""Shapes and tokens of the networks in these tests."""

from typing import Any

import torch
from torch import Tensor

from model.attention import AttentionBackend
from model.config import ArchitectureConfig
from model.initialization import initialize
from model.transformer import Transformer

VOCABULARY_SIZE = 300
SEQUENCE_LENGTH = 32


def shape(**changes: Any) -> ArchitectureConfig:
    fields = {
        "vocabulary_size": VOCABULARY_SIZE,
        "depth": 4,
        "width": 48,
        "ffn_width": 64,
        "head_dim": 8,
        "kv_heads": 3,
        "sequence_length": SEQUENCE_LENGTH,
    }
    return ArchitectureConfig(**{**fields, **changes})


def drawn(config: ArchitectureConfig, seed: int = 1, backend: AttentionBackend = "sdpa") -> Transformer:
    """A network with weights that are far from each other, and gains that are not 1."""
    network = Transformer(config, backend).requires_grad_(False)
    initialize(network, "constant", 0.2, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if name.endswith("gain"):
            parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator))
    return network


def drawn_tokens(rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, VOCABULARY_SIZE, (rows, SEQUENCE_LENGTH), generator=generator)

"""The units of a network that can be kept or dropped, and how much each is worth.

Shapes: L layers, d width, k key and value heads with the query heads that share them, f FFN width.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Scores:
    """Worth of every unit of a network; of each kind those with the largest scores are kept."""

    hidden_d: Tensor
    """Channels of the residual stream, which all layers and the embedding table share."""
    heads_lk: Tensor
    """Key and value heads, each with the query heads that share it."""
    ffn_lf: Tensor
    """Hidden channels of each layer's FFN."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a smaller network keeps of a larger one, each list ascending."""

    layers: tuple[int, ...]
    """Kept layers of the larger network."""
    hidden: tuple[int, ...]
    """Kept channels of the residual stream."""
    heads: tuple[tuple[int, ...], ...]
    """Kept key and value heads, of each kept layer."""
    ffn: tuple[tuple[int, ...], ...]
    """Kept FFN channels, of each kept layer."""

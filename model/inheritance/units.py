"""The units of a network that can be kept or dropped, and how much each is worth.

Shapes: l layers, d width, k key and value heads, h query heads, of which h / k share a key and value head, f FFN width.
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
    queries_lh: Tensor
    """Query heads, by which a network with smaller groups chooses inside each kept group."""
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
    queries: tuple[tuple[int, ...], ...]
    """Kept query heads, of each kept layer: as many of each kept key and value head, counted from the layer's first."""
    ffn: tuple[tuple[int, ...], ...]
    """Kept FFN channels, of each kept layer."""

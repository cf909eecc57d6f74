"""What a budget holds equal and a limit bounds: sizes and costs of networks, in closed form.

Every one that can be solved is affine in the FFN width at a fixed shape, and grows with width, depth and vocabulary.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from model.errors import InvalidInput
from search.constraints import (
    Decoding,
    LatencyBudget,
    LatencyLimit,
    MemoryBudget,
    MemoryLimit,
    QuantityConstraint,
)
from search.space.shapes import Floats, Ints, Shapes
from trainer.config import ProxySettings

Numbers = Ints | Floats
SHAPE_NAMES = ("block", "depth", "width", "vocabulary_size", "head_dim", "kv_heads")
"""Parameters that make a network, beside its FFN."""


class Quantity(ABC):
    """A number that follows from a network."""

    name: ClassVar[str]
    unit: ClassVar[str]
    reads: ClassVar[tuple[str, ...]] = SHAPE_NAMES
    """Parameters that it depends on, beside the FFN."""

    @abstractmethod
    def at(self, shapes: Shapes, ffn_width: Ints) -> Numbers:
        """Its amount in each network."""


class AffineQuantity(Quantity):
    """A quantity that can be solved."""

    @abstractmethod
    def without_ffn(self, shapes: Shapes) -> Numbers:
        """What the network costs beside its FFN channels."""

    @abstractmethod
    def per_ffn_channel(self, shapes: Shapes) -> Numbers:
        """What one more FFN channel costs, in all blocks together."""

    def at(self, shapes: Shapes, ffn_width: Numbers) -> Numbers:
        """Its amount in each network."""
        amount: Numbers = self.without_ffn(shapes) + ffn_width * self.per_ffn_channel(shapes)
        return amount


@dataclass(frozen=True)
class ParameterCount(AffineQuantity):
    """All parameters, embedding and head included."""

    name = "total_parameters"
    unit = "parameters"

    def without_ffn(self, shapes: Shapes) -> Ints:
        """Embedding, head, attention with its shortcut, and norm gains."""
        return shapes.tables * shapes.table + shapes.attention_matrices + shapes.norms

    def per_ffn_channel(self, shapes: Shapes) -> Ints:
        """A row of each SwiGLU matrix, and what its activations have."""
        return shapes.ffn_matrices_per_channel + shapes.series_per_channel


@dataclass(frozen=True)
class NonEmbeddingCount(AffineQuantity):
    """Parameters without embedding and head: N of the scaling laws (arXiv 2001.08361, section 2.1)."""

    name = "non_embedding_parameters"
    unit = "parameters beside the vocabulary tables"
    reads = tuple(name for name in SHAPE_NAMES if name != "vocabulary_size")

    def without_ffn(self, shapes: Shapes) -> Ints:
        """Attention with its shortcut, and norm gains."""
        return shapes.attention_matrices + shapes.norms

    def per_ffn_channel(self, shapes: Shapes) -> Ints:
        """A row of each SwiGLU matrix, and what its activations have."""
        return shapes.ffn_matrices_per_channel + shapes.series_per_channel


@dataclass(frozen=True)
class TrainingFlops(AffineQuantity):
    """FLOPs of a run of ``tokens``, forward and backward (:func:`model.counts.training_flops_per_token`)."""

    tokens: int
    name = "train_flops"
    unit = "FLOPs"
    reads = (*SHAPE_NAMES, "sequence_length")

    def without_ffn(self, shapes: Shapes) -> Floats:
        """Products with attention's projections and the head, scores and mixing over full sequences."""
        attention = 2 * shapes.sequence_length * shapes.depth * shapes.width
        return np.float64(6 * self.tokens) * (shapes.attention_matrices + shapes.table + attention)

    def per_ffn_channel(self, shapes: Shapes) -> Floats:
        """Products with a row of each SwiGLU matrix; the activations are no products."""
        return np.float64(6 * self.tokens) * shapes.ffn_matrices_per_channel


@dataclass(frozen=True)
class DecodeMemory(AffineQuantity):
    """Bytes of the weights and of one sequence's keys and values (arXiv 2211.05102, section 2)."""

    context: int
    bytes_per_parameter: float
    bytes_per_cached_value: float
    name = "memory"
    unit = "bytes"

    def without_ffn(self, shapes: Shapes) -> Floats:
        """Keys and values of ``context`` positions, and every weight beside the FFN's."""
        cache = np.float64(self.bytes_per_cached_value * self.context) * shapes.cached_values_per_position
        return cache + np.float64(self.bytes_per_parameter) * ParameterCount().without_ffn(shapes)

    def per_ffn_channel(self, shapes: Shapes) -> Floats:
        """Bytes of its weights."""
        return np.float64(self.bytes_per_parameter) * ParameterCount().per_ffn_channel(shapes)


@dataclass(frozen=True)
class DecodeLatency(AffineQuantity):
    """Seconds to decode a token of one sequence, on a device that waits for its memory.

    Every weight is read once, and the keys and values of ``context`` positions; of an embedding table that is not also
    the head, one row (derived from the roofline of arXiv 2211.05102, section 2). Computing is taken to be hidden.
    """

    memory: DecodeMemory
    bytes_per_second: float
    seconds_per_block: float
    name = "decode_latency"
    unit = "seconds a token"

    def without_ffn(self, shapes: Shapes) -> Floats:
        """Reading all beside the FFN, and starting the blocks."""
        unread = (shapes.tables - 1) * (shapes.table - shapes.width) * self.memory.bytes_per_parameter
        read = self.memory.without_ffn(shapes) - unread
        return read / self.bytes_per_second + self.seconds_per_block * shapes.depth

    def per_ffn_channel(self, shapes: Shapes) -> Floats:
        """Reading its weights."""
        return self.memory.per_ffn_channel(shapes) / self.bytes_per_second


@dataclass(frozen=True)
class EmbeddingShare(Quantity):
    """Share of the parameters in the vocabulary tables (PEHL of arXiv 2402.02791, F1)."""

    name = "embedding_share"
    unit = "of the parameters in the vocabulary tables"

    def at(self, shapes: Shapes, ffn_width: Ints) -> Floats:
        """Tables over all parameters, between 0 and 1."""
        share: Floats = shapes.tables * shapes.table / ParameterCount().at(shapes, ffn_width)
        return share


def quantity_of(name: str, said: QuantityConstraint, settings: ProxySettings) -> Quantity:
    """The quantity that a constraint is about.

    Raises:
        InvalidInput: it needs a length in tokens, and the settings give another.
    """
    if name == "train_flops":
        return TrainingFlops(_tokens(settings))
    if isinstance(said, LatencyBudget | LatencyLimit):
        return DecodeLatency(_memory(said, settings), said.bytes_per_second, said.seconds_per_block)
    if isinstance(said, MemoryBudget | MemoryLimit):
        return _memory(said, settings)
    return _PLAIN[name]()


_PLAIN = {kind.name: kind for kind in (ParameterCount, NonEmbeddingCount, EmbeddingShare)}


def _memory(said: Decoding, settings: ProxySettings) -> DecodeMemory:
    context = settings.sequence_length if said.context is None else said.context
    return DecodeMemory(context, said.bytes_per_parameter, said.bytes_per_cached_value)


def _tokens(settings: ProxySettings) -> int:
    if settings.train_tokens is None:
        raise InvalidInput(
            "constraints.train_flops",
            "the FLOPs of a run follow from its tokens, and proxy gives no train_tokens: train_bytes are tokens only "
            "once the tokenizer is known, and proxy.train_flops holds FLOPs equal already",
            "give proxy.train_tokens, or leave the constraint out",
        )
    return settings.train_tokens

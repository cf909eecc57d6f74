"""Exact counts of a network from its shape alone: parameters by group, FLOPs, embedding share."""

from dataclasses import dataclass

from model.config import ArchitectureConfig

BFLOAT16_BYTES = 2
"""Bytes of a number in the precision in which networks are commonly served."""


@dataclass(frozen=True)
class ParameterCounts:
    """Parameters of a network by group; a tied head has none of its own."""

    embedding: int
    attention: int
    ffn: int
    norm: int
    head: int

    @property
    def total(self) -> int:
        """Every trained number, each once."""
        return self.embedding + self.attention + self.ffn + self.norm + self.head

    @property
    def non_embedding(self) -> int:
        """N of the scaling laws (arXiv 2001.08361, section 2.1): without embedding and output tables."""
        return self.total - self.embedding - self.head


def count_parameters(config: ArchitectureConfig) -> ParameterCounts:
    """Count the parameters of ``model.transformer.Transformer`` with this config."""
    table = config.vocabulary_size * config.width
    head_norms = 2 * config.head_dim if config.qk_norm else 0
    return ParameterCounts(
        embedding=table,
        attention=_attention_matrices(config),
        ffn=_ffn_matrices(config) + _series(config),
        norm=config.depth * (2 * config.width + head_norms) + config.width,
        head=0 if config.tied_head else table,
    )


def _attention_matrices(config: ArchitectureConfig) -> int:
    """Query, key, value and output projections, and the two matrices of the augmented shortcut."""
    kv_width = config.kv_heads * config.head_dim
    return config.depth * 2 * config.width * (config.width + kv_width + config.shortcut_width)


def _ffn_matrices(config: ArchitectureConfig) -> int:
    return config.depth * 3 * config.width * config.ffn_width


def _series(config: ArchitectureConfig) -> int:
    """A scale and a shift for each channel and each of the summed activations."""
    return config.depth * 2 * config.activations * config.ffn_width if config.activations > 1 else 0


def embedding_share(config: ArchitectureConfig) -> float:
    """Share of the parameters that sit in the vocabulary tables, between 0 and 1.

    PEHL of the paper (arXiv 2402.02791, F1): 2 V d / N with a head of its own, V d / N with a tied one.
    """
    counts = count_parameters(config)
    return (counts.embedding + counts.head) / counts.total


def forward_flops_per_token(config: ArchitectureConfig) -> int:
    """Floating-point operations of a forward pass over full sequences, per token.

    A multiply and an add count as two; only matrix products count, as in ``torch.utils.flop_counter``. Attention
    is counted dense: each token meets all S positions in the score and the value product, 2 S d each, and the
    causal half that a kernel may skip is not taken off (derived; arXiv 2204.02311, appendix B).
    """
    matrices = _attention_matrices(config) + _ffn_matrices(config) + config.vocabulary_size * config.width
    return 2 * matrices + config.depth * 4 * config.sequence_length * config.width


def training_flops_per_token(config: ArchitectureConfig) -> int:
    """FLOPs of forward and backward per token: the backward pass costs twice the forward (arXiv 2001.08361, 2.1)."""
    return 3 * forward_flops_per_token(config)


def non_embedding_flops_per_token(config: ArchitectureConfig) -> int:
    """M, the scale of DeepSeek's laws: training FLOPs per token without those of the vocabulary (arXiv 2401.02954).

    Their equation 2, 72 L d² + 12 L d S at an FFN ratio of 8/3 and full heads: attention counts, the head does not.
    """
    head = 3 * 2 * config.vocabulary_size * config.width
    return training_flops_per_token(config) - head


def decoding_bytes(config: ArchitectureConfig, context: int, bytes_per_number: float = BFLOAT16_BYTES) -> float:
    """Bytes of decoding one sequence: every weight, and keys and values of ``context`` positions.

    The cache is 2 · L · key heads · channels of a head for each position (arXiv 2211.05102, section 2).
    """
    cached = 2 * config.depth * config.kv_heads * config.head_dim * context
    return bytes_per_number * (count_parameters(config).total + cached)


def size_conventions(config: ArchitectureConfig) -> dict[str, int]:
    """Sizes by which published laws count a network, beside ``total_parameters`` and ``non_embedding_parameters``.

    Total is that of Chinchilla (arXiv 2203.15556, appendix F), non-embedding that of Kaplan (arXiv 2001.08361, section
    2.1). The exponents of one set of runs differ with the convention (arXiv 2406.12907, 2406.19146), so that runs keep
    all of them. ``non_embedding_with_head_parameters`` counts the output projection also where it is tied, because it
    is computed with (arXiv 2406.19146, section 3.2).
    """
    counts = count_parameters(config)
    table = config.vocabulary_size * config.width
    return {
        "embedding_parameters": counts.embedding,
        "head_parameters": counts.head,
        "non_embedding_with_head_parameters": counts.non_embedding + table,
        "non_embedding_flops_per_token": non_embedding_flops_per_token(config),
        "training_flops_per_token": training_flops_per_token(config),
    }

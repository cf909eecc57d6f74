"""Compare a format's own count of the parameters with that of the recipe."""

from model.config import ArchitectureConfig
from model.counts import count_parameters
from studies.exports.smoke.result import SmokeTestFailed


def check_count(format: str, counted: int, architecture: ArchitectureConfig) -> None:
    """Check that a format holds the recipe's network, as far as numbers of parameters tell.

    Raises:
        SmokeTestFailed: the counts differ.
    """
    expected = count_parameters(architecture).total
    if counted != expected:
        raise SmokeTestFailed(format, f"it has {counted:,} parameters, the recipe {expected:,}")


def decoder_parameters(
    *,
    vocabulary: int,
    width: int,
    depth: int,
    query_width: int,
    kv_width: int,
    ffn_width: int,
    head_norms: int,
    tied: bool,
) -> int:
    """Parameters of a decoder without biases: two norms a layer and one at the end, SwiGLU, two tables or a tied one.

    ``head_norms`` are the gains of the norms of queries and keys of one layer.
    """
    attention = width * (2 * query_width + 2 * kv_width)
    layer = attention + 3 * width * ffn_width + 2 * width + head_norms
    return (1 if tied else 2) * vocabulary * width + depth * layer + width

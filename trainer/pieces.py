"""How large the pieces of the fused loss are; light, so that memory can be predicted without torch."""

LOGITS_AT_ONCE = 2**20
"""Logits of one piece, over all members: 4 MiB in float32, which stay in a core's cache (measured on one core, 4096
positions, width 128, vocabulary 4096, bfloat16: 107 ms in pieces of 2**20, 680 ms in pieces of 2**24)."""
CUDA_LOGITS_AT_ONCE = 2**26
"""The same on a GPU: 256 MiB in float32 (assumed: its kernels want more than the 21 rows of a vocabulary of 48 000 that
a CPU's cache holds, and a few more copies of this size fit beside any network)."""


def logits_at_once(device_type: str) -> int:
    """Logits of one piece, over all members."""
    return CUDA_LOGITS_AT_ONCE if device_type == "cuda" else LOGITS_AT_ONCE

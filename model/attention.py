"""The one door to attention: every backend computes softmax(Q Kᵀ / √e) V with a causal mask.

Shapes: b batch, h query heads, k key and value heads, s sequence, e channels of a head.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

AttentionBackend = Literal["sdpa", "matmul"]

LONGEST_MATMUL_SEQUENCE = 384
"""Longest S at which plain products beat the fused kernel in bfloat16 on a CPU: 7 against 16 ms at 256, 17 against 28
at 384, undecided at 512, 105 against 50 at 1024 (measured: forward and backward, batch 8, at 1024 batch 4, 4 heads of
32 channels, one thread with AMX). In float32 the fused kernel won at each: 11 against 14 ms at 256."""


def attend(query_bhse: Tensor, key_bkse: Tensor, value_bkse: Tensor, backend: AttentionBackend) -> Tensor:
    """Causal attention in which h / k query heads share each key and value head (arXiv 2305.13245).

    Returns:
        The mixed values, ``bhse``, in the dtype of the query.
    """
    return _BACKENDS[backend](query_bhse, key_bkse, value_bkse)


def fastest_backend(device: torch.device, dtype: torch.dtype, sequence_length: int) -> AttentionBackend:
    """Choose the backend for the dtype in which attention is computed (under autocast, the autocast dtype).

    On a CPU plain products win in bfloat16 up to ``LONGEST_MATMUL_SEQUENCE``; in float32 the fused kernel wins.
    """
    if device.type == "cpu" and dtype == torch.bfloat16 and sequence_length <= LONGEST_MATMUL_SEQUENCE:
        return "matmul"
    return "sdpa"


def _sdpa(query_bhse: Tensor, key_bkse: Tensor, value_bkse: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query_bhse, key_bkse, value_bkse, is_causal=True, enable_gqa=True)


def _matmul(query_bhse: Tensor, key_bkse: Tensor, value_bkse: Tensor) -> Tensor:
    b, h, s, e = query_bhse.shape
    group = h // key_bkse.shape[1]
    query_nse = query_bhse.reshape(b * h, s, e)
    key_nse = key_bkse.repeat_interleave(group, dim=1).reshape(b * h, s, e)
    value_nse = value_bkse.repeat_interleave(group, dim=1).reshape(b * h, s, e)
    future_ss = query_nse.new_full((s, s), float("-inf")).triu(diagonal=1)
    scores_nss = torch.baddbmm(future_ss, query_nse, key_nse.transpose(1, 2), alpha=e**-0.5)
    return torch.bmm(scores_nss.softmax(dim=-1), value_nse).view(b, h, s, e)


_BACKENDS: dict[AttentionBackend, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"sdpa": _sdpa, "matmul": _matmul}

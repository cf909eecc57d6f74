"""The one door to attention: every backend computes softmax(scale · Q Kᵀ) V over the past of each position.

``document_mask`` narrows the past to the position's own document.

Shapes: b batch, h query heads, k key and value heads, s sequence, e channels of a head, n sequences of all heads,
t positions of the whole batch, c documents of the whole batch.
"""

import importlib
import inspect
import logging
from collections.abc import Callable
from functools import cache, partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from model.backends import AttentionBackend as AttentionBackend
from model.config import ArchitectureConfig

MATMUL_SEQUENCE_PER_CHANNEL = 16
LONGEST_MATMUL_SEQUENCE = 640
"""Plain products beat the fused kernel in bfloat16 on a CPU up to S = 16 e, where the softmax, whose work does not grow
with e, takes over; and below S = 768, where the fused kernel turns to larger blocks. Time of the fused kernel over that
of plain products: 1.3 to 1.8 at 256, 0.8 (e = 16), 1.0 (32) and 1.4 (64) at 384, 0.75, 1.1 and 1.3 at 512, 1.3 (64) at
640, 0.5 to 0.9 at 768 (measured: forward and backward, 2048 tokens, CPU seconds of one thread with AMX). In float32 the
fused kernel won or tied at each. Masks of documents move none of these limits."""
FLASH_CAPABILITY = (8, 0)
"""Oldest CUDA compute capability of the flash kernels, Ampere's (README of flash-attn 2.8.3)."""
HOPPER = 9
"""Major compute capability that the wheels of flash-attn 3 are built for (README of flash-attn 2.8.3)."""
FLASH_HEAD_DIM_STEP = 8
LARGEST_FLASH_HEAD_DIM = 192
"""Heads of the flash kernels have a multiple of 8 channels, and at most 192 where the backward pass of flash-attn 3 is
deterministic (csrc/flash_attn/flash_api.cpp of 2.8.3, hopper/flash_api.cpp)."""
FLASH_ATTN_2, FLASH_ATTN_3 = "flash_attn", "flash_attn_interface"
"""Names under which the two packages are imported (their READMEs)."""

log = logging.getLogger(__name__)


def attend(
    query_bhse: Tensor,
    key_bkse: Tensor,
    value_bkse: Tensor,
    backend: AttentionBackend,
    scale: float | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Causal attention in which h / k query heads share each key and value head (arXiv 2305.13245).

    Args:
        query_bhse: positions that look; all, or the last one alone, as in decoding.
        key_bkse: positions that are looked at.
        value_bkse: what is mixed.
        backend: who computes it.
        scale: factor of the scores; 1 / √e when left out (arXiv 1706.03762, section 3.2.1).
        mask: of ``document_mask``, for the same backend, or of ``last_mask``; without it the whole past is seen.

    Returns:
        The mixed values, ``bhse``, in the dtype of the query.
    """
    scale = query_bhse.shape[-1] ** -0.5 if scale is None else scale
    if query_bhse.shape[2] < key_bkse.shape[2]:
        return _last(query_bhse, key_bkse, value_bkse, scale, mask)
    return _ATTENTION[backend](query_bhse, key_bkse, value_bkse, scale, mask)


def document_mask(documents_bs: Tensor, backend: AttentionBackend, dtype: torch.dtype) -> Tensor:
    """What ``attend`` takes as ``mask`` so that each position sees its own document only; one for all layers.

    For ``sdpa`` and ``matmul`` it is what is added to the scores, ``b1ss``, built without a look at the values, so
    that it works under ``torch.func.vmap``. The other kernels take the documents' first positions in the whole batch;
    to know how many there are waits for the device once.

    Args:
        documents_bs: index of the document of each position, constant inside a document.
        backend: who will compute attention.
        dtype: of queries, keys and values.
    """
    return _hidden_scores(documents_bs, dtype) if backend in ("sdpa", "matmul") else _document_starts(documents_bs)


def last_mask(documents_bt: Tensor, dtype: torch.dtype) -> Tensor:
    """The same for the last position alone, whatever the backend: what is added to its scores, ``b11t``."""
    other_b11t = (documents_bt != documents_bt[:, -1:])[:, None, None]
    return torch.zeros_like(other_b11t, dtype=dtype).masked_fill(other_b11t, float("-inf"))


def fastest_backend(
    device: torch.device, dtype: torch.dtype, architecture: ArchitectureConfig, stacked: bool = False
) -> AttentionBackend:
    """Choose the backend for the dtype in which attention is computed (under autocast, the autocast dtype).

    A rule, not a timing of the moment: the same config on the same machine gives the same losses. On a CPU it follows
    measurements (``MATMUL_SEQUENCE_PER_CHANNEL``). On CUDA in bfloat16 it takes flash-attn 3 on Hopper, 1.5 to 2 times
    as fast as flash-attn 2 there (arXiv 2407.08608, abstract), else flash-attn 2, else what PyTorch brings, and says so
    (not measured: no version of this has run on a GPU).

    Args:
        device: where the network is.
        dtype: of queries, keys and values.
        architecture: its sequence length, head size and masking decide.
        stacked: whether attention runs under ``torch.func.vmap``, which the flash kernels do not.
    """
    if device.type == "cpu":
        return _fastest_on_cpu(dtype, architecture.sequence_length, architecture.head_dim)
    if device.type != "cuda" or stacked or not _fits_flash(device, dtype, architecture.head_dim):
        return "sdpa"
    return _flash_backend(torch.cuda.get_device_capability(device)[0], architecture.mask_documents)


def _fastest_on_cpu(dtype: torch.dtype, sequence_length: int, head_dim: int) -> AttentionBackend:
    longest = min(MATMUL_SEQUENCE_PER_CHANNEL * head_dim, LONGEST_MATMUL_SEQUENCE)
    return "matmul" if dtype == torch.bfloat16 and sequence_length <= longest else "sdpa"


def _fits_flash(device: torch.device, dtype: torch.dtype, head_dim: int) -> bool:
    return (
        dtype == torch.bfloat16
        and head_dim % FLASH_HEAD_DIM_STEP == 0
        and head_dim <= LARGEST_FLASH_HEAD_DIM
        and torch.cuda.get_device_capability(device) >= FLASH_CAPABILITY
    )


@cache
def _flash_backend(capability: int, mask_documents: bool) -> AttentionBackend:
    """The best of what is installed; a stand-in is announced once a process."""
    if capability == HOPPER and _why_not(FLASH_ATTN_3) is None:
        return "flash-attn-3"
    reason = _why_not(FLASH_ATTN_2)
    if reason is None:
        return "flash-attn-2"
    stand_in: AttentionBackend = "torch-varlen" if mask_documents and _has_varlen() else "sdpa"
    log.warning("attention runs on %s, because flash-attn cannot be loaded: %s", stand_in, reason)
    return stand_in


def _last(query_bh1e: Tensor, key_bkte: Tensor, value_bkte: Tensor, scale: float, mask_b11t: Tensor | None) -> Tensor:
    """Attention of the last position, which sees all positions."""
    return F.scaled_dot_product_attention(query_bh1e, key_bkte, value_bkte, mask_b11t, scale=scale, enable_gqa=True)


def _sdpa(query_bhse: Tensor, key_bkse: Tensor, value_bkse: Tensor, scale: float, mask_b1ss: Tensor | None) -> Tensor:
    return F.scaled_dot_product_attention(
        query_bhse, key_bkse, value_bkse, mask_b1ss, is_causal=mask_b1ss is None, scale=scale, enable_gqa=True
    )


def _matmul(query_bhse: Tensor, key_bkse: Tensor, value_bkse: Tensor, scale: float, mask_b1ss: Tensor | None) -> Tensor:
    b, h, s, e = query_bhse.shape
    group = h // key_bkse.shape[1]
    query_nse = query_bhse.reshape(b * h, s, e)
    key_nse = key_bkse.repeat_interleave(group, dim=1).reshape(b * h, s, e)
    value_nse = value_bkse.repeat_interleave(group, dim=1).reshape(b * h, s, e)
    if mask_b1ss is None:
        hidden = query_nse.new_full((s, s), float("-inf")).triu(diagonal=1)
    else:
        hidden = mask_b1ss.expand(b, h, s, s).reshape(b * h, s, s)
    scores_nss = torch.baddbmm(hidden, query_nse, key_nse.transpose(1, 2), alpha=scale)
    return torch.bmm(scores_nss.softmax(dim=-1), value_nse).view(b, h, s, e)


def _hidden_scores(documents_bs: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a position sees another, -inf where it does not, ``b1ss``."""
    s = documents_bs.shape[1]
    future_ss = torch.ones(s, s, dtype=torch.bool, device=documents_bs.device).triu(diagonal=1)
    hidden_bss = (documents_bs[:, :, None] != documents_bs[:, None, :]) | future_ss
    return torch.zeros_like(hidden_bss, dtype=dtype).masked_fill(hidden_bss, float("-inf"))[:, None]


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _document_starts(documents_bs: Tensor) -> Tensor:
    """First position of each document in the whole batch, and the end of the last, ``c + 1``.

    A document ends with its row: what goes on in the next row is another one. Empty documents at the end make c a
    power of two, so that compiled code meets few shapes.
    """
    changes_bs = documents_bs.diff(dim=1) != 0
    begins_t = F.pad(changes_bs, (1, 0), value=True).flatten()
    starts = begins_t.nonzero().flatten()
    places = 1 << (len(starts) - 1).bit_length()
    return F.pad(starts, (0, places + 1 - len(starts)), value=len(begins_t)).int()


def _flash_attn(
    package: str, query_bhse: Tensor, key_bkse: Tensor, value_bkse: Tensor, scale: float, starts_c: Tensor | None
) -> Tensor:
    """Flash-Attention 2 or 3 (arXiv 2307.08691, 2407.08608); deterministic, so that a run can be repeated."""
    kernels = _kernels(package)
    options = {"softmax_scale": scale, "causal": True, "deterministic": True}
    if starts_c is None:
        query_bshe, key_bske, value_bske = (tensor.transpose(1, 2) for tensor in (query_bhse, key_bkse, value_bkse))
        mixed_bshe: Tensor = kernels.flash_attn_func(query_bshe, key_bske, value_bske, **options)
        return mixed_bshe.transpose(1, 2)
    b, _, s, _ = query_bhse.shape
    mixed_the = kernels.flash_attn_varlen_func(
        _packed(query_bhse),
        _packed(key_bkse),
        _packed(value_bkse),
        cu_seqlens_q=starts_c,
        cu_seqlens_k=starts_c,
        max_seqlen_q=s,  # no document is longer than its row: the longest need not be known
        max_seqlen_k=s,
        **options,
    )
    return _unpacked(mixed_the, b)


def _torch_varlen(
    query_bhse: Tensor, key_bkse: Tensor, value_bkse: Tensor, scale: float, starts_c: Tensor | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    b, _, s, _ = query_bhse.shape
    if starts_c is None:
        starts_c = torch.arange(0, b * s + 1, s, dtype=torch.int32, device=query_bhse.device)
    query_the, key_tke, value_tke = (_packed(tensor) for tensor in (query_bhse, key_bkse, value_bkse))
    mixed_the = cast(
        Tensor,
        varlen_attn(
            query_the, key_tke, value_tke, starts_c, starts_c, s, s, scale=scale, window_size=(-1, 0), enable_gqa=True
        ),
    )
    return _unpacked(mixed_the, b)


def _packed(tensor_bhse: Tensor) -> Tensor:
    """All positions of the batch one after the other, ``the``."""
    return tensor_bhse.transpose(1, 2).flatten(0, 1)


def _unpacked(tensor_the: Tensor, batch: int) -> Tensor:
    t, h, e = tensor_the.shape
    return tensor_the.view(batch, t // batch, h, e).transpose(1, 2)


_LOADED: dict[str, Any] = {}
"""flash-attn packages from their first use on; compiled code finds them here, because it cannot import."""


def _kernels(package: str) -> Any:
    """A flash-attn package, imported once.

    Raises:
        ImportError: it is missing, was built for another PyTorch, or is only the folder that another one shares.
    """
    if package not in _LOADED:
        module = importlib.import_module(package)
        if not hasattr(module, "flash_attn_varlen_func"):
            raise ImportError(f"{package} has no flash_attn_varlen_func")
        _LOADED[package] = module
    return _LOADED[package]


def _why_not(package: str) -> str | None:
    """Why a flash-attn package cannot be used; None where it can."""
    try:
        _kernels(package)
    except (ImportError, OSError) as error:
        return str(error)
    return None


def _has_varlen() -> bool:
    """Whether PyTorch brings the kernel with grouped-query attention, as it does since 2.13 at the latest."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    return "enable_gqa" in inspect.signature(varlen_attn).parameters


_ATTENTION: dict[AttentionBackend, Callable[[Tensor, Tensor, Tensor, float, Tensor | None], Tensor]] = {
    "sdpa": _sdpa,
    "matmul": _matmul,
    "flash-attn-2": partial(_flash_attn, FLASH_ATTN_2),
    "flash-attn-3": partial(_flash_attn, FLASH_ATTN_3),
    "torch-varlen": _torch_varlen,
}

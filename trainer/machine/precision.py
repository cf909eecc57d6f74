"""Whether this machine multiplies faster in bfloat16, and how a run is told."""

import time
from contextlib import AbstractContextManager
from functools import cache

import torch

from trainer.config import Precision

REFERENCE_SHAPE = (4096, 128, 344)
"""Tokens × width × FFN width of the 1M-parameter proxy. One shape for all runs: a choice for each run's own shape would
change with width and batch_tokens inside a study (measured on one core with AMX: the ratio is 0.8 at 512 × 32 and 6.8
here) and so mix the precision into the effects that the study estimates."""
NEEDED_SPEEDUP = 1.5
"""Over float32 (assumed: far above the timing noise, so that the choice is the machine's and not the moment's)."""
REPETITIONS = 7


def resolve_precision(precision: Precision, device: torch.device) -> Precision:
    """Return what a run computes in: ``float32`` or ``bfloat16``; weights and optimizer stay in float32 either way."""
    if precision != "auto":
        return precision
    return "bfloat16" if bfloat16_speedup(device.type) >= NEEDED_SPEEDUP else "float32"


@cache
def bfloat16_speedup(device_type: str) -> float:
    """Time one matrix product of ``REFERENCE_SHAPE`` in float32 and bfloat16, once a process; return the ratio."""
    return _seconds(device_type, torch.float32) / _seconds(device_type, torch.bfloat16)


def _seconds(device_type: str, dtype: torch.dtype) -> float:
    tokens, width, ffn_width = REFERENCE_SHAPE
    left = torch.ones(tokens, width, dtype=dtype, device=device_type)
    right = torch.ones(width, ffn_width, dtype=dtype, device=device_type)
    return min(_timed_product(left, right) for _ in range(REPETITIONS))


def _timed_product(left: torch.Tensor, right: torch.Tensor) -> float:
    start = time.perf_counter()
    (left @ right).sum().item()
    return time.perf_counter() - start


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Compute matrix products in ``precision`` inside the context."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")

"""The matrix products of a training step, timed by themselves: what a step could not be faster than."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from model.config import ArchitectureConfig

ROUNDS = 5


def step_products(config: ArchitectureConfig, tokens: int, dtype: torch.dtype) -> list[Callable[[], object]]:
    """Every product of a step over ``tokens`` tokens on a CPU, each on matrices of its own, laid out as in the step.

    Those of the forward pass come first, then the two gradients of each. Attention is counted dense, as in
    ``model.counts``.
    """
    forward = [sizes for times, *sizes in _forward_products(config, tokens) for _ in range(times)]
    calls = []
    for batch, rows, inner, columns in forward:
        left, right = _matrix(batch, rows, inner, dtype), _matrix(batch, columns, inner, dtype)
        gradient = _matrix(batch, rows, columns, dtype)
        calls += [
            partial(torch.matmul, left, right.mT),
            partial(torch.matmul, gradient, right),
            partial(torch.matmul, gradient.mT, left),
        ]
    return calls


def _forward_products(config: ArchitectureConfig, tokens: int) -> Iterator[tuple[int, int, int, int, int]]:
    """How often; batch, rows, inner size and columns of left and right matrix."""
    depth, width, kv_width = config.depth, config.width, config.kv_heads * config.head_dim
    s, heads = config.sequence_length, tokens // config.sequence_length * config.heads
    yield 2 * depth, 1, tokens, width, width
    yield 2 * depth, 1, tokens, width, kv_width
    yield 2 * depth, 1, tokens, width, config.ffn_width
    yield depth, 1, tokens, config.ffn_width, width
    yield depth, heads, s, config.head_dim, s
    yield depth, heads, s, s, config.head_dim
    yield 1, 1, tokens, width, config.vocabulary_size


def _matrix(batch: int, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    matrix = torch.randn(batch, rows, columns).to(dtype)
    return matrix[0] if batch == 1 else matrix


def all_of(calls: Sequence[Callable[[], object]]) -> Callable[[], object]:
    """One call that makes all of them, one after the other."""
    return lambda: [call() for call in calls]


def dense_flops_per_second(size: int, device: torch.device) -> float:
    """Rate of square bfloat16 products."""
    left, right = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    left @ right
    seconds = statistics.median(timed(device, lambda: left @ right) for _ in range(ROUNDS))
    return 2 * size**3 / seconds


def timed(device: torch.device, call: Callable[[], object]) -> float:
    """Seconds of one call: on a GPU of the clock, its work included; on a CPU of the process, which has one thread.

    Other processes disturb the latter less.
    """
    now = _gpu_now if device.type == "cuda" else time.process_time
    start = now()
    call()
    return now() - start


def _gpu_now() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()

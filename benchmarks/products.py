"""The matrix products of a training step, timed by themselves: what a step could not be faster than."""

import statistics
import time
from collections.abc import Callable, Iterator

import torch

from model.config import ArchitectureConfig

ROUNDS = 5

Product = tuple[int, int, int, int, int]
"""How often, batch, rows, inner size, columns."""


def step_products(config: ArchitectureConfig, tokens: int) -> Iterator[Product]:
    """Every product of a step over ``tokens`` tokens: those of the forward pass, and the two gradients of each.

    Attention is counted dense, as in ``model.counts``.
    """
    for times, batch, rows, inner, columns in _forward_products(config, tokens):
        yield times, batch, rows, inner, columns
        yield times, batch, rows, columns, inner
        yield times, batch, inner, rows, columns


def _forward_products(config: ArchitectureConfig, tokens: int) -> Iterator[Product]:
    depth, width, kv_width = config.depth, config.width, config.kv_heads * config.head_dim
    s, heads = config.sequence_length, tokens // config.sequence_length * config.heads
    yield 2 * depth, 1, tokens, width, width
    yield 2 * depth, 1, tokens, width, kv_width
    yield 2 * depth, 1, tokens, width, config.ffn_width
    yield depth, 1, tokens, config.ffn_width, width
    yield depth, heads, s, config.head_dim, s
    yield depth, heads, s, s, config.head_dim
    yield 1, 1, tokens, width, config.vocabulary_size


def product_seconds(products: Iterator[Product], dtype: torch.dtype, device: torch.device) -> float:
    """Sum of the products' times, each the median of ``ROUNDS`` on matrices of its own."""
    return sum(times * _seconds(device, _product(sizes, dtype, device)) for times, *sizes in products)


def dense_flops_per_second(size: int, device: torch.device) -> float:
    """Rate of square bfloat16 products."""
    return 2 * size**3 / _seconds(device, _product([1, size, size, size], torch.bfloat16, device))


def _product(sizes: list[int], dtype: torch.dtype, device: torch.device) -> Callable[[], object]:
    batch, rows, inner, columns = sizes
    left = torch.randn(batch, rows, inner, device=device).to(dtype)
    right = torch.randn(batch, inner, columns, device=device).to(dtype)
    if batch == 1:
        left, right = left[0], right[0]
    return lambda: left @ right


def _seconds(device: torch.device, call: Callable[[], object]) -> float:
    call()
    return statistics.median(timed(device, call) for _ in range(ROUNDS))


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

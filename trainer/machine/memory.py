"""Peak memory of a run, predicted from its shape before anything is allocated.

Bytes are counted tensor by tensor as the loop allocates them: what autograd keeps of each block was read off
``torch.autograd.graph.saved_tensors_hooks`` and is held against it by a test, as are whole runs against the growth of
a process's resident memory.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from model.attention import AttentionBackend
from model.config import ArchitectureConfig
from model.counts import count_parameters
from model.errors import InvalidInput
from trainer.config import Precision, ProxyConfig
from trainer.loss import LOGITS_AT_ONCE
from trainer.machine.allocation import give_freed_memory_back
from trainer.machine.memory_use import available_bytes
from trainer.machine.precision import resolve_precision

FLOAT32, BFLOAT16 = 4, 2
STATE_BYTES = 4 * FLOAT32
"""Of each parameter: weight, gradient and AdamW's two moments, all in float32 (derived)."""
SNAPSHOT_BYTES = 3 * FLOAT32
"""Of each parameter while a shorter run has left the trunk: its weight and moments before (derived)."""
STACKED_UPDATE_BYTES = 3 * FLOAT32
"""Of each parameter of a stack while it is updated: the joined gradient, the root of its square, the step (derived)."""
CPU_ALLOCATOR_SHARE = 1.25
"""Resident memory over what tensors hold on a CPU (measured: 1.05 to 1.3; freed blocks of other sizes stay)."""
CPU_ACCUMULATION_SHARE = 0.75
"""More of the activations on a CPU where a batch is accumulated (measured: 0 to 0.8): gradients of the first forward
pass stay, and lie between what the next ones allocate."""
CPU_LIBRARY_BYTES = 112 * 2**20
"""What torch's libraries take with the first products of a process (measured: 50 to 110 MiB)."""
CUDA_ALLOCATOR_SHARE = 1.1
"""Reserved over allocated memory of the caching allocator (assumed; no run on CUDA has been measured)."""
_CPU_ALLOCATOR = "DefaultCPUAllocator"
"""How torch names itself in the plain RuntimeError of a failed allocation on a CPU."""
_SENTENCES = 4
"""Of CUDA's message: what was asked for, what the device has, and who holds it; advice on settings follows."""


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes at the peak of a training step, by what takes them."""

    state: int
    """Weights, gradients and moments."""
    casts: int
    """Copies of the matrices in bfloat16, kept from the forward to the backward pass."""
    activations: int
    """What autograd keeps of one forward pass."""
    transient: int
    """What is larger of the loss and the backward pass of one block; more where a stack's update exceeds all of it."""
    overhead: int
    """Of the allocator and the libraries."""

    @property
    def total(self) -> int:
        """The peak."""
        return self.state + self.casts + self.activations + self.transient + self.overhead

    def __str__(self) -> str:
        parts = {"weights and optimizer": self.state + self.casts, "activations": self.activations}
        parts |= {"loss or backward pass": self.transient, "allocator and libraries": self.overhead}
        return f"{_gib(self.total)} ({', '.join(f'{name} {_gib(size)}' for name, size in parts.items())})"


def check_memory(
    config: ProxyConfig,
    micro_batch_tokens: int,
    backend: AttentionBackend,
    device: torch.device,
    members: int = 1,
) -> MemoryEstimate:
    """Predict the peak of a run (see ``estimate_memory``) and compare it with what ``device`` can give now.

    What earlier runs of this process left is given back first: it is neither missing here, nor part of the new peak.

    Raises:
        InvalidInput: the run cannot fit; its reason has both figures.
    """
    gc.collect()  # what is left of an earlier network may hang in cycles
    give_freed_memory_back()
    precision = resolve_precision(config.precision, device)
    estimate = estimate_memory(config, micro_batch_tokens, backend, precision, device.type, members)
    available = available_bytes(device)
    if estimate.total > available:
        reason = f"{estimate} are predicted, and {_gib(available)} are available on {device.type}"
        remedy = "make the network, its sequences or its vocabulary smaller, or run fewer trials at a time"
        raise InvalidInput("memory", reason, remedy)
    return estimate


@contextmanager
def named_memory_errors() -> Iterator[None]:
    """Turn the failure of an allocation, which no prediction rules out, into one that the user can read.

    Raises:
        InvalidInput: memory ran out; its reason is the allocator's, figures included.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(error) from error
    except RuntimeError as error:
        if _CPU_ALLOCATOR not in str(error):
            raise
        raise _out_of_memory(error) from error


def _out_of_memory(error: Exception) -> InvalidInput:
    said = ". ".join(str(error).split(". ")[:_SENTENCES]) or "an allocation failed"
    return InvalidInput("memory", f"it ran out: {said}", "make the network smaller, or run fewer trials at a time")


def block_bytes_per_token(config: ArchitectureConfig, backend: AttentionBackend, precision: Precision) -> int:
    """What autograd keeps of one block, in bytes a token.

    In float32 what each of the two norms divides or has divided, and the same of queries and keys where they are
    normed; in the products' type the input of each matrix, the rotated heads, the mixed values, and the
    vectors of SwiGLU. Plain products expand keys and values to all heads and keep the attention weights, h S; the fused
    kernels keep their output and one float32 a head. PanGu-π adds its activations and the middle of the shortcut.
    """
    size = _size(precision)
    width, kv_width = config.width, config.kv_heads * config.head_dim
    norms = FLOAT32 * (2 * width + 2)
    if config.qk_norm:
        norms += FLOAT32 * (width + kv_width + config.heads + config.kv_heads)
    inputs = size * (3 * width + 2 * config.shortcut_width)
    ffn = size * config.ffn_width * (4 if config.activations == 1 else 4 + config.activations)
    if backend == "matmul":
        attention = size * (3 * width + config.heads * config.sequence_length)
    else:
        attention = size * (2 * width + 2 * kv_width) + FLOAT32 * config.heads
    return norms + inputs + attention + ffn


def estimate_memory(
    config: ProxyConfig,
    micro_batch_tokens: int,
    backend: AttentionBackend,
    precision: Precision,
    device_type: str,
    members: int = 1,
) -> MemoryEstimate:
    """Predict the peak of a training step.

    Evaluation needs less: it runs the same forward passes and keeps no activations.

    Args:
        config: the run; its batch is accumulated from forward passes of ``micro_batch_tokens``.
        micro_batch_tokens: tokens of one forward pass, of each member.
        backend: of attention.
        precision: ``float32`` or ``bfloat16``.
        device_type: ``cpu`` or ``cuda``, whose allocators differ.
        members: networks that are trained as one program.
    """
    architecture = config.architecture
    counts = count_parameters(architecture)
    tokens = min(micro_batch_tokens, config.optimization.batch_tokens)
    block = block_bytes_per_token(architecture, backend, precision)
    once = (FLOAT32 + _size(precision)) * architecture.width
    if architecture.mask_documents:
        once += _size(precision) * architecture.sequence_length
    state = members * counts.total * (STATE_BYTES + (SNAPSHOT_BYTES if config.annealed_evaluations else 0))
    casts = members * (counts.total - counts.norm) * BFLOAT16 if precision == "bfloat16" else 0
    activations = members * tokens * (architecture.depth * block + once)
    update = members * counts.total * (STACKED_UPDATE_BYTES if members > 1 else 0)
    block_backward = tokens * _backward_bytes_per_token(architecture, backend, precision)
    backward = members * max(_loss_bytes(architecture, tokens, precision), block_backward)
    transient = max(backward, update - casts - activations)
    overhead = _overhead(state + casts + activations + transient, device_type)
    if device_type == "cpu" and tokens < config.optimization.batch_tokens:
        overhead += round(CPU_ACCUMULATION_SHARE * activations)
    return MemoryEstimate(state, casts, activations, transient, overhead)


def _loss_bytes(config: ArchitectureConfig, tokens: int, precision: Precision) -> int:
    """Of the fused loss: one piece of logits with its gradient, and the gradients of hidden states and head, both of
    them before and after they are scaled.
    """
    piece = LOGITS_AT_ONCE * (FLOAT32 + 2 * _size(precision))
    return piece + config.width * (2 * _size(precision) * tokens + 2 * FLOAT32 * config.vocabulary_size)


def _size(precision: Precision) -> int:
    return FLOAT32 if precision == "float32" else BFLOAT16


def _backward_bytes_per_token(config: ArchitectureConfig, backend: AttentionBackend, precision: Precision) -> int:
    """Gradients alive at once in a block: of SwiGLU's three vectors, or of the attention weights and scores."""
    ffn = 3 * config.ffn_width
    scores = 2 * config.heads * config.sequence_length if backend == "matmul" else 0
    return _size(precision) * max(ffn, scores) + 2 * FLOAT32 * config.width


def _overhead(tensors: int, device_type: str) -> int:
    if device_type == "cuda":
        return round(tensors * (CUDA_ALLOCATOR_SHARE - 1))
    return round(tensors * (CPU_ALLOCATOR_SHARE - 1)) + CPU_LIBRARY_BYTES


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"

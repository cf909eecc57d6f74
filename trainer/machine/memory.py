"""Peak memory of a run against what the machine can give, before anything is allocated."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from model.attention import AttentionBackend
from model.config import ArchitectureConfig
from model.errors import InvalidInput
from trainer.config import Precision, ProxyConfig
from trainer.machine.allocation import give_freed_memory_back
from trainer.machine.memory_estimate import MemoryEstimate, estimate_inheritance, estimate_memory, gib
from trainer.machine.memory_use import available_bytes
from trainer.machine.precision import resolve_precision

_CPU_ALLOCATOR = "DefaultCPUAllocator"
"""How torch names itself in the plain RuntimeError of a failed allocation on a CPU."""
_SENTENCES = 4
"""Of CUDA's message: what was asked for, what the device has, and who holds it; advice on settings follows."""


def check_memory(
    config: ProxyConfig,
    micro_batch_tokens: int,
    backend: AttentionBackend,
    device: torch.device,
    members: int = 1,
    processes: int = 1,
    recomputed: bool = False,
    teacher: ArchitectureConfig | None = None,
) -> MemoryEstimate:
    """Predict the peak of a run (see ``estimate_memory``) and compare it with what ``device`` can give now.

    What earlier runs of this process left is given back first: it is neither missing here, nor part of the new peak.

    Raises:
        InvalidInput: the run cannot fit; its reason has both figures.
    """
    gc.collect()  # what is left of an earlier network may hang in cycles
    give_freed_memory_back()
    precision = resolve_precision(config.precision, device)
    estimate = estimate_memory(
        config, micro_batch_tokens, backend, precision, device.type, members, processes, recomputed, teacher
    )
    available = available_bytes(device)
    if estimate.total > available:
        reason = f"{estimate} are predicted, and {gib(available)} are available on {device.type}"
        remedy = "make the network, its sequences or its vocabulary smaller, or run fewer trials at a time"
        raise InvalidInput("memory", reason, remedy)
    return estimate


def check_inheritance_memory(
    parent: ArchitectureConfig, student: ArchitectureConfig, tokens: int, precision: Precision, device: torch.device
) -> None:
    """Predict the peak of taking weights from a parent (see ``estimate_inheritance``), before it is read.

    Raises:
        InvalidInput: it cannot fit; its reason has both figures.
    """
    gc.collect()
    give_freed_memory_back()
    needed = estimate_inheritance(parent, student, tokens, precision, device.type)
    available = available_bytes(device)
    if needed > available:
        reason = f"{gib(needed)} are predicted while the parent is read, and {gib(available)} are available"
        raise InvalidInput(
            "memory", f"{reason} on {device.type}", "give a smaller parent, or run fewer trials at a time"
        )


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

"""The model that the user wants, the machines that train it, and what is asked of it."""

from typing import Annotated

from pydantic import Field

from model.config import FrozenConfig
from model.errors import InvalidInput
from trainer.machine.accelerators import ACCELERATORS

MAX_TOTAL_PARAMETERS = 10**13
"""(derived) The largest ``target`` that ``search.parameters.TotalParameters`` accepts."""
MAX_TOKENS = 10**15
"""(assumed) Beyond any corpus: the largest in use in 2024 hold some 10^13 tokens."""
MAX_GPUS = 1_000_000
"""(assumed) Beyond any cluster."""
MAX_GPU_MEMORY_GIB = 10_000.0
MAX_GPU_FLOPS = 1e18
MAX_DECODE_SPEED = 1e9
"""(assumed) Beyond any device, like the two before."""
MAX_BATCH_TOKENS = 2**28
"""(derived) The largest batch that ``trainer.config.OptimizationConfig`` accepts."""


class Target(FrozenConfig):
    """The model that the user wants. What is left out is neither assumed nor checked."""

    total_parameters: int
    """N, embedding and head included."""
    tokens: int
    """D, training tokens."""
    gpus: int | None = None
    """GPUs that train; 1 where only their kind is said."""
    gpu: Annotated[str, Field(max_length=50)] | None = None
    """Kind of the GPUs, one of ``trainer.machine.accelerators.ACCELERATORS``."""
    gpu_memory_gib: float | None = None
    """Memory of one GPU; that of its kind when left out."""
    gpu_peak_flops: float | None = None
    """Dense FLOPs a second of one GPU in bfloat16; those of its kind when left out."""
    decode_tokens_per_second: float | None = None
    """Slowest decoding that is accepted, of one sequence."""
    max_batch_tokens: int | None = None
    """Largest batch that is accepted."""
    parent: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """Folder of a larger network whose weights it inherits; else that of the study, where its trials inherit."""
    teacher: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """Folder of a network from whose predictions it learns; else that of the study, where its trials have one."""

    @property
    def gpu_count(self) -> int | None:
        """How many GPUs train; None where nothing is said of any."""
        said = (self.gpus, self.gpu, self.gpu_memory_gib, self.gpu_peak_flops)
        return None if all(value is None for value in said) else self.gpus or 1

    @property
    def memory_gib(self) -> float | None:
        """Memory of one GPU; None where it is not known."""
        of_kind = ACCELERATORS[self.gpu].memory_gib if self.gpu else None
        return of_kind if self.gpu_memory_gib is None else self.gpu_memory_gib

    @property
    def peak_flops(self) -> float | None:
        """Dense FLOPs a second of one GPU; None where they are not known."""
        of_kind = ACCELERATORS[self.gpu].peak_flops if self.gpu else None
        return of_kind if self.gpu_peak_flops is None else self.gpu_peak_flops

    def check(self) -> None:
        """Refuse targets that no config can meet, whatever the study says.

        Raises:
            InvalidInput: names the field and the range, or the kinds, that are allowed.
        """
        _check_whole("total_parameters", self.total_parameters, MAX_TOTAL_PARAMETERS)
        _check_whole("tokens", self.tokens, MAX_TOKENS)
        _check_whole("gpus", self.gpus, MAX_GPUS)
        _check_whole("max_batch_tokens", self.max_batch_tokens, MAX_BATCH_TOKENS)
        _check_positive("gpu_memory_gib", self.gpu_memory_gib, MAX_GPU_MEMORY_GIB)
        _check_positive("gpu_peak_flops", self.gpu_peak_flops, MAX_GPU_FLOPS)
        _check_positive("decode_tokens_per_second", self.decode_tokens_per_second, MAX_DECODE_SPEED)
        if self.gpu is not None and self.gpu not in ACCELERATORS:
            known = ", ".join(ACCELERATORS)
            remedy = f"use one of {known}, or give gpu_memory_gib and gpu_peak_flops instead"
            raise InvalidInput("gpu", f"{self.gpu!r} is not a known kind of GPU", remedy)


def _check_whole(name: str, value: int | None, high: int) -> None:
    if value is not None and not 1 <= value <= high:
        raise InvalidInput(name, f"{value:.3g} is out of range", f"give a whole number from 1 to {high:.0e}")


def _check_positive(name: str, value: float | None, high: float) -> None:
    if value is not None and not 0 < value <= high:
        raise InvalidInput(name, f"{value:.3g} is out of range", f"give a number above 0 and up to {high:.0e}")

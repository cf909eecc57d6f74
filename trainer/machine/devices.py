"""The GPUs that training could use here."""

import torch

CUDA_CONTEXT_BYTES = 600 * 2**20
"""What a process takes of a GPU beside PyTorch's tensors: context, kernels, libraries (assumed)."""


def count_gpus() -> int:
    """GPUs that PyTorch sees in this process."""
    return torch.cuda.device_count()


def limit_gpu_memory(share: float) -> None:
    """Keep this process inside its share of the GPU, so that the runs beside it keep theirs.

    A run that needs more ends with PyTorch's out-of-memory error, and does not take the memory of the others.
    """
    if torch.cuda.is_available():
        total = torch.cuda.get_device_properties().total_memory
        torch.cuda.set_per_process_memory_fraction(gpu_memory_limit(share, total) / total)


def gpu_memory_limit(share: float, total_bytes: int) -> int:
    """Bytes that a run's tensors may take of a GPU of ``total_bytes``: its share, less what CUDA itself takes there."""
    return max(int(share * total_bytes) - CUDA_CONTEXT_BYTES, 0)

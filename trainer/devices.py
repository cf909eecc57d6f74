"""The GPUs that training could use here."""

import torch


def count_gpus() -> int:
    """GPUs that PyTorch sees in this process."""
    return torch.cuda.device_count()

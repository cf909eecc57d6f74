"""How many FLOPs a device can make in a second, against which a run's share (MFU) is told."""

import time
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from trainer.config import Precision
from trainer.machine.accelerators import BFLOAT16_PEAKS

FLOAT32_PEAKS = {"H200": 67e12, "H100": 67e12, "A100": 19.5e12, "L40S": 91.6e12, "L4": 30.3e12, "A10": 31.2e12}
"""The same of float32 without TensorFloat-32, which PyTorch does not use unless told to (NVIDIA's data sheets)."""
MEASURED_SIZE = {"cpu": 1024, "cuda": 8192}
"""Side of the square matrices whose product is timed on a device that no table knows (assumed: large enough for its
best; 40 ms a product on one core)."""
REPETITIONS = 3


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that a device gives."""

    flops_per_second: float
    source: Literal["data sheet", "measured"]
    """``measured``: the best of a few square products on this device, which a run's own products may exceed."""


def peak(device: torch.device, precision: Precision) -> Peak:
    """The peak of one device in a precision, with the threads that the process may use where it is a CPU."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return known_peak(name, precision) or Peak(_measured(device, precision, torch.get_num_threads()), "measured")


def known_peak(name: str, precision: Precision) -> Peak | None:
    """The peak that the maker of a device states; None where the tables do not have it."""
    table = BFLOAT16_PEAKS if precision == "bfloat16" else FLOAT32_PEAKS
    found = next((flops for part, flops in table.items() if f"{part} " in f"{name.replace('-', ' ')} "), None)
    return None if found is None else Peak(found, "data sheet")


@cache
def _measured(device: torch.device, precision: Precision, threads: int) -> float:
    """``threads`` tells measurements apart."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    side = MEASURED_SIZE[device.type]
    matrix = torch.ones(side, side, dtype=dtype, device=device)
    return 2 * side**3 / min(_seconds(matrix) for _ in range(REPETITIONS))


def _seconds(matrix: torch.Tensor) -> float:
    start = time.perf_counter()
    (matrix @ matrix)[0, 0].item()
    return time.perf_counter() - start

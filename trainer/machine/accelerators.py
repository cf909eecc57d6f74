"""GPUs by name: what they compute at most, and what they hold. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass

BFLOAT16_PEAKS = {
    "B200": 2250e12,
    "H200": 989.4e12,
    "H100 NVL": 835.5e12,
    "H100 PCIe": 756e12,
    "H100": 989.4e12,
    "H800": 989.4e12,
    "H20": 148e12,
    "A100": 312e12,
    "A800": 312e12,
    "L40S": 362.05e12,
    "L40": 181.05e12,
    "L4": 121e12,
    "A40": 149.7e12,
    "A10G": 70e12,
    "A10": 125e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
    "MI300X": 1307.4e12,
}
"""Dense bfloat16 products with float32 sums, FLOPs a second, by a part of the device's name (the makers' data sheets,
whose figures "with sparsity" are halved; A10G: AWS; of the RTX cards the white papers of Ada and GA102). The first name
that fits counts, so that a card stands before the one whose name begins its own."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One kind of GPU that a recipe can be asked for."""

    label: str
    name: str
    """In ``BFLOAT16_PEAKS``, and in the name that CUDA gives such a device."""
    memory_gib: float
    """Nominal memory; the makers' GB are taken for GiB, as their devices report about that."""
    also: str = ""
    """What else the device's name holds, where kinds share ``name``."""

    @property
    def peak_flops(self) -> float:
        """Dense products in bfloat16, FLOPs a second."""
        return BFLOAT16_PEAKS[self.name]


ACCELERATORS: Mapping[str, Accelerator] = {
    "b200": Accelerator("NVIDIA B200", "B200", 180),
    "h200": Accelerator("NVIDIA H200", "H200", 141),
    "h100-nvl": Accelerator("NVIDIA H100 NVL", "H100 NVL", 94),
    "h100-pcie": Accelerator("NVIDIA H100 PCIe", "H100 PCIe", 80),
    "h100": Accelerator("NVIDIA H100 SXM", "H100", 80),
    "h800": Accelerator("NVIDIA H800", "H800", 80),
    "h20": Accelerator("NVIDIA H20", "H20", 96),
    "a100-40gb": Accelerator("NVIDIA A100 40GB", "A100", 40, also="40GB"),
    "a100": Accelerator("NVIDIA A100 80GB", "A100", 80),
    "a800": Accelerator("NVIDIA A800", "A800", 80),
    "l40s": Accelerator("NVIDIA L40S", "L40S", 48),
    "l40": Accelerator("NVIDIA L40", "L40", 48),
    "l4": Accelerator("NVIDIA L4", "L4", 24),
    "a40": Accelerator("NVIDIA A40", "A40", 48),
    "a10g": Accelerator("NVIDIA A10G", "A10G", 24),
    "a10": Accelerator("NVIDIA A10", "A10", 24),
    "rtx4090": Accelerator("NVIDIA GeForce RTX 4090", "RTX 4090", 24),
    "rtx3090": Accelerator("NVIDIA GeForce RTX 3090", "RTX 3090", 24),
    "mi300x": Accelerator("AMD MI300X", "MI300X", 192),
}
"""By the kind that a target names; of those whose names begin alike, the longer first."""


def kind_of_device(name: str) -> str | None:
    """The kind of a device by the name that CUDA gives it, e.g. ``NVIDIA H100 80GB HBM3``; None where it is unknown."""
    words = f" {name.replace('-', ' ')} "
    for kind, accelerator in ACCELERATORS.items():
        if f"{accelerator.name} " in words and accelerator.also in words:
            return kind
    return None

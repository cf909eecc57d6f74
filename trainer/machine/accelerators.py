"""GPUs by name: what they compute at most, and what they hold. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One kind of GPU."""

    label: str
    peak_flops: float
    """Dense products in bfloat16 a second (float16 where the GPU has no bfloat16), without sparsity."""
    memory_gib: float
    """Nominal memory; the vendors' GB are taken for GiB, as their devices report about that."""
    fragments: tuple[str, ...]
    """What the name that CUDA gives such a device contains, all of them."""


ACCELERATORS: Mapping[str, Accelerator] = {
    "b200": Accelerator("NVIDIA B200", 2250e12, 180, ("B200",)),
    "h200": Accelerator("NVIDIA H200 SXM", 989.4e12, 141, ("H200",)),
    "h100-pcie": Accelerator("NVIDIA H100 PCIe", 756e12, 80, ("H100", "PCIe")),
    "h100": Accelerator("NVIDIA H100 SXM", 989.4e12, 80, ("H100",)),
    "a100-40gb": Accelerator("NVIDIA A100 40GB", 312e12, 40, ("A100", "40GB")),
    "a100": Accelerator("NVIDIA A100 80GB", 312e12, 80, ("A100",)),
    "l40s": Accelerator("NVIDIA L40S", 362e12, 48, ("L40S",)),
    "l4": Accelerator("NVIDIA L4", 121e12, 24, ("NVIDIA L4",)),
    "a10": Accelerator("NVIDIA A10", 125e12, 24, ("NVIDIA A10",)),
    "rtx4090": Accelerator("NVIDIA GeForce RTX 4090", 165.2e12, 24, ("RTX 4090",)),
    "rtx3090": Accelerator("NVIDIA GeForce RTX 3090", 71e12, 24, ("RTX 3090",)),
    "v100": Accelerator("NVIDIA V100 32GB", 125e12, 32, ("V100",)),
    "t4": Accelerator("NVIDIA T4", 65e12, 16, ("T4",)),
    "mi300x": Accelerator("AMD MI300X", 1307.4e12, 192, ("MI300X",)),
}
"""From the vendors' data sheets; of names that contain each other's, the longer first."""


def kind_of_device(name: str) -> str | None:
    """The kind of a device by the name that CUDA gives it, e.g. ``NVIDIA H100 80GB HBM3``; None where it is unknown."""
    for kind, accelerator in ACCELERATORS.items():
        if all(fragment in name for fragment in accelerator.fragments):
            return kind
    return None

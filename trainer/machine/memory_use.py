"""How much memory a run took, and how much it can have."""

import contextlib
import resource
import sys
from pathlib import Path
from typing import Literal

import psutil
import torch

PeakScope = Literal["trial", "process"]

_PROCESS = Path("/proc/self")
_CGROUPS = Path("/sys/fs/cgroup")


class PeakMemory:
    """The highest memory since it was made: a process trains one network after the other.

    On CUDA it is what tensors held on the device. On a CPU it is the resident memory of the process, libraries
    included; Linux forgets the peak of earlier runs when asked to. Elsewhere only the peak of the whole process is
    known, which ``scope`` then says.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.scope: PeakScope = "trial"
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        elif not _forget_resident_peak():
            self.scope = "process"

    def bytes(self) -> int:
        """The peak so far."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return _resident_peak() if self.scope == "trial" else _peak_of_process()


def _forget_resident_peak() -> bool:
    """Set the peak of this process's resident memory to what it is now (man 5 proc, clear_refs); whether it was."""
    with contextlib.suppress(OSError):
        (_PROCESS / "clear_refs").write_text("5")
        return _resident_peak() > 0
    return False


def _resident_peak() -> int:
    """Bytes of VmHWM, the peak resident memory (man 5 proc); 0 where it is not told."""
    for line in (_PROCESS / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _peak_of_process() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def available_bytes(device: torch.device) -> int:
    """Memory that this process can still take on ``device``.

    On CUDA what is free, and what the caching allocator of this process holds unused, up to the share of the device
    that is the process's (``torch.cuda.set_per_process_memory_fraction``). On a CPU what the system can give without
    swapping, up to what is left of the limits of its control groups.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        allocated = torch.cuda.memory_allocated(device)
        own = torch.cuda.memory_reserved(device) - allocated
        share = torch.cuda.get_per_process_memory_fraction(device) * total
        return int(min(free + own, share - allocated))
    return min([int(psutil.virtual_memory().available), *_left_in_control_groups()])


def _left_in_control_groups() -> list[int]:
    """What each limit of memory above this process leaves, in both versions of control groups; empty where none is.

    Pages of files count as used and are given back under pressure, so that the inactive ones are not taken off.
    """
    left = []
    for folder, limit_name, usage_name, inactive in _memory_groups():
        with contextlib.suppress(OSError, ValueError):  # the root has no limit, and "max" is none
            limit = int((folder / limit_name).read_text())
            usage = int((folder / usage_name).read_text())
            left.append(limit - usage + _statistic(folder / "memory.stat", inactive))
    return left


def _memory_groups() -> list[tuple[Path, str, str, str]]:
    """Folders of this process's groups and of those above, with the names of their files."""
    with contextlib.suppress(OSError):
        groups = []
        for line in (_PROCESS / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                groups += [(place, "memory.max", "memory.current", "inactive_file") for place in _upwards(path, "")]
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
                groups += [(place, *names) for place in _upwards(path, "memory")]
        return groups
    return []


def _upwards(path: str, hierarchy: str) -> list[Path]:
    """The folder of a group, and those of the groups above; inside a container the path may be the host's."""
    root = _CGROUPS / hierarchy
    place = root / path.lstrip("/")
    return [place, *(parent for parent in place.parents if parent.is_relative_to(root))]


def _statistic(path: Path, name: str) -> int:
    for line in path.read_text().splitlines():
        key, value = line.split()
        if key == name:
            return int(value)
    return 0

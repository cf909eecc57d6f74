"""How the C library hands memory to a training process on a CPU."""

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of ``mallopt`` (malloc.h of glibc)."""
KEPT_BYTES = 2**31 - 1
"""The largest number that it takes."""
MAPPED_FROM_BYTES = 2**30
"""Smaller blocks come from the heap, which keeps them when they are freed."""


@cache
def keep_freed_memory() -> bool:
    """Let freed memory stay with the process, where its C library is glibc. Returns whether it does.

    By default each tensor of a few megabytes is mapped anew in every step, and its pages are faulted in one by one:
    without that a step took 0.87 of the time (measured at 1M parameters on one thread).
    """
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"):
        return False
    set_option = ctypes.CDLL(None).mallopt
    return bool(set_option(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES) and set_option(M_TRIM_THRESHOLD, KEPT_BYTES))


def give_freed_memory_back() -> bool:
    """Let go of what is kept, so that one run's memory is not another's. Returns whether it was."""
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))

"""Memory that a step on the CPU frees stays with the process, where glibc manages it.

Else it goes back to the system with each tensor, and the next step waits while it is mapped and cleared again: a
tenth of the time of a small model's step. The most that is taken is the same.
"""

import ctypes
import sys

# Of glibc's malloc.h. Blocks above MMAP_THRESHOLD bytes, whose most is 32 MB, still go back at once.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_TRIM_BYTES, _MMAP_BYTES = 2**31 - 1, 32 << 20


def keep_freed_memory() -> bool:
    """Set it up for this process, and those that it forks.

    Returns:
        Whether it was done; another C library than glibc keeps its own rule.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES) and mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES))

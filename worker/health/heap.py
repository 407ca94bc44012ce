"""What happens to freed memory: tensors reuse it at once, and now and then it goes back to the system.

By default the C library's allocator asks the system for every large tensor, whose pages must be cleared and
mapped each time. Small gaps between tensors of changing sizes it never gives back, so that a process's memory
keeps growing. Knows the GNU C library; with any other it does nothing.
"""

import ctypes
import sys
import time

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAX_KEPT_BYTES = 32 * 2**20  # the most that the library accepts for M_MMAP_THRESHOLD
PAUSE_S = 10.0  # a trim takes milliseconds, and what it gives back must be asked for again


def keep_freed_memory() -> None:
    """Lets freed blocks of up to 32 MiB stay in this process's heap until it is trimmed."""
    mallopt = getattr(_library(), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MAX_KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


class Heap:
    """This process's heap."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._trimmed_at = time.monotonic()

    def trim(self) -> None:
        """Gives free memory back to the system, unless that was done less than `pause_s` ago."""
        now = time.monotonic()
        if now - self._trimmed_at >= self._pause_s:
            self._trimmed_at = now
            trim()


def trim() -> None:
    """Gives the free memory of this process's heap back to the system."""
    malloc_trim = getattr(_library(), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(ctypes.c_size_t(0))


def _library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None

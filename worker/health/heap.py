"""What becomes of freed memory: tensors take it again at once, and now and then the system gets it back.

By itself the C library's allocator asks the system for each large tensor anew, and every page of it is
cleared and entered again; and small holes between tensors of ever other sizes it never gives back, so that
what the process holds grows without end. Knows the GNU C library; elsewhere it does nothing.
"""

import ctypes
import sys
import time

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 * 2**20  # the most that the library takes for M_MMAP_THRESHOLD
PAUSE_S = 10.0  # a trim takes milliseconds, and what is given back must be asked for again


def keep_freed_memory() -> None:
    """Freed blocks of up to 32 MiB stay in this process's heap until it is tidied."""
    mallopt = getattr(_library(), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


class Heap:
    """This process's heap."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._trimmed_at = time.monotonic()

    def tidy(self) -> None:
        """Gives back what is free, if that was not done a moment ago."""
        now = time.monotonic()
        if now - self._trimmed_at >= self._pause_s:
            self._trimmed_at = now
            give_back()


def give_back() -> None:
    """The system gets back what is free in this process's heap."""
    trim = getattr(_library(), "malloc_trim", None)
    if trim is not None:
        trim(ctypes.c_size_t(0))


def _library() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None

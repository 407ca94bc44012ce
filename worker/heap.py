"""Gives freed memory back to the system, which the C library's allocator does not do by itself.

Tensors of ever other sizes leave holes in the heap: what is in use stays the same, what the process holds
grows without end. Knows the GNU C library's `malloc_trim`; elsewhere it does nothing.
"""

import ctypes
import sys
import time

PAUSE_S = 10.0  # a trim takes milliseconds, and what is given back must be asked for again


class Heap:
    """This process's heap."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._trimmed_at = time.monotonic()
        library = ctypes.CDLL(None) if sys.platform == "linux" else None
        self._trim = getattr(library, "malloc_trim", None)

    def tidy(self) -> None:
        """Gives back what is free, if that was not done a moment ago."""
        now = time.monotonic()
        if self._trim is not None and now - self._trimmed_at >= self._pause_s:
            self._trimmed_at = now
            self._trim(ctypes.c_size_t(0))

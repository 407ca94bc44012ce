"""Servers that end with the test process even when that is killed and cannot end them itself."""

import ctypes
import sys
from collections.abc import Callable
from signal import Signals

PR_SET_PDEATHSIG = 1


def end_with_parent(signal: Signals) -> Callable[[], None] | None:
    """What a child runs before its program starts: Linux then sends it `signal` when its parent ends."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, int(signal), 0, 0, 0)

"""Where a long document is cut into windows. Pure arithmetic on token counts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]

# How far a window's end or start may move to meet a boundary: a part of the window and of the stride. By the
# latter two windows start at least half a stride apart.
NEAR_OF_WINDOW = 8
NEAR_OF_STRIDE = 4


class Window(NamedTuple):
    """A stretch [start, end) of a document's tokens, scored on its own."""

    start: int
    end: int


class Breaks(NamedTuple):
    """Tokens that begin a sentence or a clause, in ascending order: there a document is cut gladly."""

    sentences: IntArray
    clauses: IntArray

    def last_within(self, low: int, high: int) -> int | None:
        """The last sentence that begins in [low, high], else the last clause; None when neither does."""
        for starts in self:
            found = int(np.searchsorted(starts, high, side="right")) - 1
            if found >= 0 and starts[found] >= low:
                return int(starts[found])
        return None

    def first_within(self, low: int, high: int) -> int | None:
        """The first sentence that begins in [low, high], else the first clause; None when neither does."""
        for starts in self:
            found = int(np.searchsorted(starts, low, side="left"))
            if found < len(starts) and starts[found] <= high:
                return int(starts[found])
        return None


ANYWHERE = Breaks(np.empty(0, np.int32), np.empty(0, np.int32))
"""No boundary is known: windows are cut by count alone."""


def reach(window: int, stride: int) -> int:
    """How many tokens a window's end or start may move back to meet a boundary."""
    return min(window // NEAR_OF_WINDOW, stride // NEAR_OF_STRIDE)


def cut_windows(num_tokens: int, window: int, stride: int, breaks: Breaks = ANYWHERE) -> list[Window]:
    """Overlapping windows that together cover every token.

    A window holds `window` tokens, or fewer when a sentence or a clause ends within reach of its end. The
    next starts so that both share `window - stride` tokens, or a little earlier, where one begins within
    reach. The last ends with the document, and starts as early as it can, or a little later, where one
    begins. A document that fits is one window; an empty one is one empty window.
    Requires 1 <= stride <= window.
    """
    if not 1 <= stride <= window:
        raise ValueError(f"a stride of {stride} tokens would leave gaps between windows of {window}")
    if num_tokens <= window:
        return [Window(0, num_tokens)]
    near = reach(window, stride)
    windows: list[Window] = []
    start = 0
    while start + window < num_tokens:
        latest = start + window
        end = breaks.last_within(latest - near, latest) or latest
        windows.append(Window(start, end))
        start = end - (window - stride)
        start = breaks.last_within(start - near, start) or start
    first = num_tokens - window
    start = breaks.first_within(first, min(first + near, start)) or first
    windows.append(Window(start, num_tokens))
    return windows

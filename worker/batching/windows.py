"""Where a long document is cut into windows. Pure arithmetic on token counts."""

from typing import NamedTuple

from rankmill.worker.tokenize.breaks import ANYWHERE, Breaks

# How far a window's end or start may move to meet a boundary: a part of the window and of the stride. By the
# latter two windows start at least half a stride apart.
NEAR_OF_WINDOW = 8
NEAR_OF_STRIDE = 4


class Window(NamedTuple):
    """A stretch [start, end) of a document's tokens, scored on its own."""

    start: int
    end: int


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

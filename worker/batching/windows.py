"""Splits a long document into windows. Pure arithmetic on token counts."""

from typing import NamedTuple

from rankmill.worker.tokenize.breaks import NO_BREAKS, Breaks

# A window's end or start may move to a boundary by an eighth of the window and a quarter of the stride,
# whichever is less. Because of the second, windows start at least half a stride apart.
REACH_OF_WINDOW = 8
REACH_OF_STRIDE = 4


class Window(NamedTuple):
    """A stretch [start, end) of a document's tokens, scored on its own."""

    start: int
    end: int


def reach(window: int, stride: int) -> int:
    """How many tokens a window's end or start may move to a boundary."""
    return min(window // REACH_OF_WINDOW, stride // REACH_OF_STRIDE)


def split_into_windows(num_tokens: int, window: int, stride: int, breaks: Breaks = NO_BREAKS) -> list[Window]:
    """Overlapping windows that together cover every token.

    A window holds `window` tokens, or fewer when a sentence or a clause ends within reach of its end. The
    next one shares `window - stride` tokens with it, or a little more, so that it starts with a sentence or
    clause. The last ends with the document and holds `window` tokens, or a little fewer, for the same reason.
    A document that fits is one window; an empty one is one empty window. Raises ValueError unless 1 <= stride
    <= window.
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

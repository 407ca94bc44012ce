"""Where a long document is cut into windows. Pure arithmetic on token counts."""

from typing import NamedTuple


class Window(NamedTuple):
    """A stretch [start, end) of a document's tokens, scored on its own."""

    start: int
    end: int


def cut_windows(num_tokens: int, window: int, stride: int) -> list[Window]:
    """Overlapping windows that together cover every token.

    Windows start every `stride` tokens; the last one is moved back to end with the document, so that
    all are equally long. A document that fits is one window; an empty one is one empty window.
    Requires 1 <= stride <= window.
    """
    if not 1 <= stride <= window:
        raise ValueError(f"a stride of {stride} tokens would leave gaps between windows of {window}")
    if num_tokens <= window:
        return [Window(0, num_tokens)]
    last_start = num_tokens - window
    return [Window(start, start + window) for start in range(0, last_start, stride)] + [
        Window(last_start, num_tokens)
    ]

"""Where a long text may be cut so that its first tokens are those of the whole text.

Knows white space and offsets, no tokenizer.

Of a tokenizer that splits words before its model sees them, what stands behind a piece of white space changes
no token before it. The cut is made before white space, and the words within MARGIN_CHARS of it
are not trusted: a token over several words, or a normalizer that looks ahead, would have to reach across all
of them. ASCII white space only: it composes with nothing before it, in any script.
"""

import re
from typing import NamedTuple

CHARS_PER_TOKEN = 8
MARGIN_CHARS = 256
# White space after none: within a run, or between CR and LF, nothing is cut.
BOUNDARY = re.compile(r"(?<=\S)[ \t\r\n]")


class Prefix(NamedTuple):
    """The text's first `end` code points; tokens that end at or before `trusted_end` are the whole text's."""

    end: int
    trusted_end: int


def first_length(num_tokens: int) -> int:
    """How many code points most texts need for this many tokens, and for the words that are not trusted."""
    return CHARS_PER_TOKEN * num_tokens + 2 * MARGIN_CHARS


def prefix_within(text: str, num_chars: int) -> Prefix | None:
    """The longest prefix of at most `num_chars` that can be cut off; None when the text must be read whole:
    it is hardly longer, or has too little white space."""
    if len(text) <= 2 * num_chars:
        return None
    end = _last_boundary(text, num_chars)
    trusted_end = _last_boundary(text, end - MARGIN_CHARS)
    return Prefix(end, trusted_end) if trusted_end > 0 else None


def _last_boundary(text: str, num_chars: int) -> int:
    """The last place within `num_chars` where the text can be cut; 0 when there is none."""
    for start in (max(0, num_chars - 4 * MARGIN_CHARS), 0):
        places = [found.start() for found in BOUNDARY.finditer(text, start, max(0, num_chars))]
        if places:
            return places[-1]
    return 0

"""Where a long text may be cut so that its first tokens are those of the whole text.

If a tokenizer splits words before its model sees them, text behind white space changes no token before it. So
the text is cut before white space. The words within MARGIN_CHARS of the cut are not trusted, in case a token
spans several words or a normalizer looks ahead. Only ASCII white space counts: in no script does it compose
with the character before it. Knows white space and offsets; knows no tokenizer.
"""

import re
from typing import NamedTuple

CHARS_PER_TOKEN = 8
MARGIN_CHARS = 256
# White space that follows something else: a run of white space, or CR and LF, is never cut in two.
BOUNDARY = re.compile(r"(?<=\S)[ \t\r\n]")


class Prefix(NamedTuple):
    """A text's first `end` code points. Tokens that end by `trusted_end` are the whole text's tokens."""

    end: int
    trusted_end: int


def usual_length(num_tokens: int) -> int:
    """How many code points hold this many tokens in most texts, with the words that are not trusted."""
    return CHARS_PER_TOKEN * num_tokens + 2 * MARGIN_CHARS


def prefix_within(text: str, num_chars: int) -> Prefix | None:
    """The longest prefix of at most `num_chars` code points.

    None when the text must be read whole: it is hardly longer, or has too little white space.
    """
    if len(text) <= 2 * num_chars:
        return None
    end = _last_boundary(text, num_chars)
    trusted_end = _last_boundary(text, end - MARGIN_CHARS)
    return Prefix(end, trusted_end) if trusted_end > 0 else None


def _last_boundary(text: str, num_chars: int) -> int:
    """The last place within `num_chars` code points where the text may be cut; 0 when there is none."""
    for start in (max(0, num_chars - 4 * MARGIN_CHARS), 0):
        places = [found.start() for found in BOUNDARY.finditer(text, start, max(0, num_chars))]
        if places:
            return places[-1]
    return 0

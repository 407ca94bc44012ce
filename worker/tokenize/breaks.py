"""Which tokens begin a sentence or a clause. Knows offsets and no tokenizer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankmill.db.corpus.sentences import boundaries

IntArray = NDArray[np.int32]


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


def find_breaks(text: str, starts: IntArray) -> Breaks:
    """The tokens that begin a sentence or a clause; `starts` says where each token begins, in code points.

    The first token is none of them. A token over a mark belongs to what stands before the mark.
    """
    sentences: list[int] = []
    clauses: list[int] = []
    for place, ends_sentence in boundaries(text):
        (sentences if ends_sentence else clauses).append(place)
    return Breaks(_tokens_from(sentences, starts), _tokens_from(clauses, starts))


def _tokens_from(places: Sequence[int], starts: IntArray) -> IntArray:
    """The first token that begins at or after each place, each once; none for the text's two ends."""
    # Offsets of the odd tokenizer step back by a character; places are looked up in what never does.
    found = np.unique(np.searchsorted(np.maximum.accumulate(starts), places, side="left"))
    return found[(found > 0) & (found < len(starts))].astype(np.int32)

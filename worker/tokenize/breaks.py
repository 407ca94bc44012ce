"""Finds the tokens that begin a sentence or a clause. Knows offsets; knows no tokenizer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankmill.db.corpus.sentences import boundaries

IntArray = NDArray[np.int32]


class Breaks(NamedTuple):
    """Tokens that begin a sentence or a clause, in ascending order: windows should start and end there."""

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


NO_BREAKS = Breaks(np.empty(0, np.int32), np.empty(0, np.int32))
"""No boundary is known: the token count alone decides where windows end."""


def find_breaks(text: str, starts: IntArray) -> Breaks:
    """The tokens that begin a sentence or a clause. `starts` says where each token begins, in code points.

    The first token is never among them. A token that contains the mark belongs to what stands before it.
    """
    sentences: list[int] = []
    clauses: list[int] = []
    for place, ends_sentence in boundaries(text):
        (sentences if ends_sentence else clauses).append(place)
    return Breaks(_tokens_from(sentences, starts), _tokens_from(clauses, starts))


def _tokens_from(places: Sequence[int], starts: IntArray) -> IntArray:
    """The first token that begins at or after each place, each once; never the text's first token."""
    # Some tokenizers' offsets step back by a character; searching needs numbers that never fall.
    found = np.unique(np.searchsorted(np.maximum.accumulate(starts), places, side="left"))
    return found[(found > 0) & (found < len(starts))].astype(np.int32)

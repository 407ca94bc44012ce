"""Which tokens begin a sentence or a clause. Knows offsets, no tokenizer; the marks are db/boundaries'."""

from collections.abc import Sequence

import numpy as np

from db.boundaries import boundaries
from worker.windows import Breaks, IntArray


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

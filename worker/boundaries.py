"""Where sentences and clauses of a text end, in any script. Knows text and offsets, no tokenizer.

Marks only, no grammar: a full stop before a small letter is an abbreviation, a line break ends a clause, an
empty line a sentence. What stands between two marks may be anything.
"""

import re
from collections.abc import Sequence

import numpy as np

from worker.windows import Breaks, IntArray

_CLOSING = "[\"'”’»)\\]]*"
# Chinese and Japanese write no spaces after their marks; Thai, Lao, Khmer and Burmese write them between
# clauses.
_MARKS = re.compile(
    rf"(?P<sentence>[.!?…؟۔።։।॥။។]+{_CLOSING}(?=\s)|[。！？｡]+[」』】）”’]*|\n[^\S\n]*\n\s*)"
    rf"|[;:,،؛]+{_CLOSING}(?=\s)|[、，；：]|\n|(?<=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\s+"
)


def find_breaks(text: str, starts: IntArray) -> Breaks:
    """The tokens that begin a sentence or a clause; `starts` says where each token begins, in code points.

    The first token is none of them. A token over a mark belongs to what stands before the mark.
    """
    sentences: list[int] = []
    clauses: list[int] = []
    for mark in _MARKS.finditer(text):
        ends_sentence = mark["sentence"] is not None and not _is_abbreviation(text, mark)
        (sentences if ends_sentence else clauses).append(mark.end())
    return Breaks(_tokens_from(sentences, starts), _tokens_from(clauses, starts))


def _is_abbreviation(text: str, mark: re.Match[str]) -> bool:
    """Whether a small letter follows a full stop, as in "no. three" or "e.g. this"."""
    if not mark[0].startswith("."):
        return False
    place, last = mark.end(), min(len(text), mark.end() + 3)
    while place < last and text[place].isspace():
        place += 1
    return place < last and text[place].islower()


def _tokens_from(places: Sequence[int], starts: IntArray) -> IntArray:
    """The first token that begins at or after each place, each once; none for the text's two ends."""
    # Offsets of the odd tokenizer step back by a character; places are looked up in what never does.
    found = np.unique(np.searchsorted(np.maximum.accumulate(starts), places, side="left"))
    return found[(found > 0) & (found < len(starts))].astype(np.int32)

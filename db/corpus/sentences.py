"""Where sentences and clauses of a text end, in any script. Pure functions of text; knows no tokens.

Marks only, no grammar: a full stop before a small letter is an abbreviation, a line break ends a clause, an
empty line a sentence. What stands between two marks may be anything. Windows are cut by it and scorers named
after it: other marks give other scores, and need another name in WindowEnds.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

_CLOSING = "[\"'”’»)\\]]*"
# Chinese and Japanese write no spaces after their marks; Thai, Lao, Khmer and Burmese write them between
# clauses.
_MARKS = re.compile(
    rf"(?P<sentence>[.!?…؟۔።։।॥။།]+{_CLOSING}(?=\s)|[。！？｡]+[」』】）”’]*|\n[^\S\n]*\n\s*)"
    rf"|[;:,،؛]+{_CLOSING}(?=\s)|[、，；：]|\n|(?<=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\s+"
)
# What a clause shown to a person may be: shorter ones (headings, "12.") go with the next, longer are cut.
MIN_CLAUSE_CHARS = 40
MAX_CLAUSE_CHARS = 600


class Boundary(NamedTuple):
    """A place in a text, in code points, where a sentence or only a clause has just ended."""

    place: int
    ends_sentence: bool


def boundaries(text: str) -> Iterator[Boundary]:
    """The text's boundaries from its start to its end."""
    for mark in _MARKS.finditer(text):
        yield Boundary(mark.end(), mark["sentence"] is not None and not _is_abbreviation(text, mark))


def _is_abbreviation(text: str, mark: re.Match[str]) -> bool:
    """Whether a small letter follows a full stop, as in "no. three" or "e.g. this"."""
    if not mark[0].startswith("."):
        return False
    place, last = mark.end(), min(len(text), mark.end() + 3)
    while place < last and text[place].isspace():
        place += 1
    return place < last and text[place].islower()


def clauses(text: str) -> Iterator[tuple[int, int]]:
    """The clauses of a passage as [start, end) without white space around them: sentences, the longest of
    them in parts. All of the passage but white space is in one of them.
    """
    found = list(boundaries(text))
    sentence_ends = [place for place, ends_sentence in found if ends_sentence]
    clause_ends = [place for place, _ in found]
    start = 0
    for end in [*sentence_ends, len(text)]:
        if end - start < MIN_CLAUSE_CHARS and end < len(text):
            continue
        for part_start, part_end in _parts(text, start, end, clause_ends):
            if piece := _trimmed(text, part_start, part_end):
                yield piece
        start = end


def _parts(text: str, start: int, end: int, clause_ends: list[int]) -> Iterator[tuple[int, int]]:
    """Parts of a long sentence, cut after a clause or between words, or else behind a word without end."""
    while end - start > MAX_CLAUSE_CHARS:
        latest = start + MAX_CLAUSE_CHARS
        found = bisect_right(clause_ends, latest) - 1
        cut = clause_ends[found] if found >= 0 else 0
        if cut <= start:
            cut = text.rfind(" ", start + 1, latest)
        if cut <= start:
            spaces = text.find(" ", latest, end)
            cut = min([*clause_ends[found + 1 : found + 2], end if spaces < 0 else spaces, end])
        yield start, cut
        start = cut
    if start < end:
        yield start, end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    length = len(piece.strip())
    start += len(piece) - len(piece.lstrip())
    return (start, start + length) if length else None

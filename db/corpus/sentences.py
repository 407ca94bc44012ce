"""Where sentences and clauses of a text end, in any script. Pure functions of text; knows no tokens.

By punctuation, without grammar: a full stop before a small letter is an abbreviation, a line break ends a
clause, an empty line ends a sentence. Windows end at these places, so other rules give other scores: a change
here needs another name in WindowEnds.
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
# Clauses shown to a person. Shorter ones (headings, "12.") are joined to the next, longer ones are split.
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
    """The clauses of a passage as [start, end), without white space around them.

    They are its sentences; long sentences are split. Only white space is in none of them.
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
    """A sentence in parts: split after a clause, else between words, else after a word that is too long."""
    while end - start > MAX_CLAUSE_CHARS:
        latest = start + MAX_CLAUSE_CHARS
        found = bisect_right(clause_ends, latest) - 1
        part_end = clause_ends[found] if found >= 0 else 0
        if part_end <= start:
            part_end = text.rfind(" ", start + 1, latest)
        if part_end <= start:
            spaces = text.find(" ", latest, end)
            part_end = min([*clause_ends[found + 1 : found + 2], end if spaces < 0 else spaces, end])
        yield start, part_end
        start = part_end
    if start < end:
        yield start, end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    length = len(piece.strip())
    start += len(piece) - len(piece.lstrip())
    return (start, start + length) if length else None

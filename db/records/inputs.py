"""Queries, candidates and documents as read, on their way into a draft."""

from typing import NamedTuple


class QueryRow(NamedTuple):
    """A query as read; `line` is its line in the file, or its position from 1 in an iterable."""

    query_id: str
    text: str
    line: int


class CandidateRow(NamedTuple):
    query_id: str
    document_id: str
    line: int


class DocumentRow(NamedTuple):
    """A document as read; `text` is what is scored, the title and a space before the document's own text.

    An offset in the own text is the offset in `text` less `text_offset`, and never less than 0. `text_offset`
    is below 0 where white space at the own text's start is not scored.
    """

    document_id: str
    text: str
    text_offset: int
    line: int

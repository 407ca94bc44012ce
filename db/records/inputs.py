"""Queries, candidates and documents as read, on their way into a draft."""

from typing import NamedTuple


class QueryRow(NamedTuple):
    """A query as read. `line` is its line in the file, or its position in an iterable, from 1."""

    query_id: str
    text: str
    line: int


class CandidateRow(NamedTuple):
    query_id: str
    document_id: str
    line: int


class DocumentRow(NamedTuple):
    """A document as read. `text` is what is scored: the title, a space, and the document's own text.

    An offset in the own text is the offset in `text` minus `text_offset`, but at least 0. `text_offset` is
    negative where white space at the start of the own text is not scored.
    """

    document_id: str
    text: str
    text_offset: int
    line: int

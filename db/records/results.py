"""A result as people see it."""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """A clause [start, end) of a document's own text, with its own score and logit."""

    start: int
    end: int
    score: float
    logit: float


class ResultRow(NamedTuple):
    """One pair of a job as people see it.

    `score` is sigmoid(logit). `rank` counts from 1 within the query by falling logit, ties by document id.
    A failed pair has neither rank nor score nor logit, and says why in `error`.
    Span offsets count in the document's own text, without its title.
    `truncated` says that the document's end was not read, `query_truncated` that the query's was not.
    `spans` are the best clauses of the best window, best first, if the job was asked for them.
    """

    query_id: str
    document_id: str
    rank: int | None = None
    score: float | None = None
    logit: float | None = None
    span_start: int | None = None
    span_end: int | None = None
    num_tokens: int | None = None
    num_windows: int | None = None
    truncated: bool | None = None
    query_truncated: bool | None = None
    reused: bool = False
    error: str | None = None
    spans: Sequence[Span] = ()

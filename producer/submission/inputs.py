"""The inputs of a job, and its options."""

from dataclasses import dataclass
from typing import NamedTuple

from rankmill.db.records.jobs import Priority
from rankmill.db.records.rankings import NotificationRequest, Publishing
from rankmill.db.submission.draft import Draft
from rankmill.producer.sources.kinds import (
    CandidateInput,
    DocumentInput,
    QueryInput,
    candidates_from,
    documents_from,
    queries_from,
)
from rankmill.producer.sources.lines import MAX_LINE_BYTES
from rankmill.producer.sources.source import Source


class Inputs(NamedTuple):
    """The sources of a job, by their names in its key and in the order in which a draft takes them."""

    queries: Source[Draft]
    candidates: Source[Draft]
    documents: Source[Draft]


def inputs_from(
    corpus: DocumentInput,
    queries: QueryInput,
    candidates: CandidateInput | None,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Inputs:
    """What a person gave, as sources: paths, values, collections and query sets; no candidates: all pairs."""
    return Inputs(
        queries=queries_from(queries, max_line_bytes),
        candidates=candidates_from(candidates, max_line_bytes),
        documents=documents_from(corpus, max_line_bytes),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Options that do not affect scores.

    None leaves it open: a new job has no name and normal priority, a job that was recorded before keeps
    what it has.
    """

    name: str | None = None
    priority: Priority | None = None
    top_k: int | None = None
    min_score: float | None = None
    publishing: Publishing | None = None
    spans: int | None = None
    notification: NotificationRequest | None = None

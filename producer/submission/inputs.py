"""What a job is made from, and what it may be given besides."""

from dataclasses import dataclass

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
from rankmill.producer.sources.source import Source


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to rank, as a person gives it. No candidates means all pairs."""

    corpus: DocumentInput
    queries: QueryInput
    candidates: CandidateInput | None

    def sources(self, max_line_bytes: int) -> dict[str, Source[Draft]]:
        """The sources by their names in the job's key, in the order in which a draft takes them."""
        return {
            "queries": queries_from(self.queries, max_line_bytes),
            "candidates": candidates_from(self.candidates, max_line_bytes),
            "documents": documents_from(self.corpus, max_line_bytes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What a job may be given besides inputs and scorer; none of it decides a score.

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

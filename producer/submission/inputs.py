"""What a job is made from, and what it may be given besides."""

from dataclasses import dataclass

from rankmill.db.records.jobs import Priority
from rankmill.db.records.rankings import NotificationRequest, Publishing
from rankmill.producer.sources.candidates import CandidateSource
from rankmill.producer.sources.documents import DocumentSource
from rankmill.producer.sources.queries import QuerySource
from rankmill.producer.sources.stored import Collection, QuerySet


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to rank: files, Python values as the readers take them, or what the store keeps under a name.

    No candidates means all pairs.
    """

    corpus: DocumentSource | Collection
    queries: QuerySource | QuerySet
    candidates: CandidateSource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What a job may be given besides inputs and scorer; none of it decides a score. None asks for nothing:
    a new job has no name and normal priority, one that was recorded before stays as it is.
    """

    name: str | None = None
    priority: Priority | None = None
    top_k: int | None = None
    min_score: float | None = None
    publishing: Publishing | None = None
    spans: int | None = None
    notification: NotificationRequest | None = None

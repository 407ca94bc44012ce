"""Rankings, publications and changes as they cross rooms, and what is asked for the end of a job."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

DEFAULT_KEEP = 7


class PublishPolicy(StrEnum):
    """How a job with failed pairs is published: with them and their reasons, without them, or not at all."""

    ALL = "all"
    WITHOUT_FAILED = "without-failed"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """The ranking a job is published in when it ends.

    `keep` is how many publications can be brought back; None leaves that as it is.
    """

    ranking: str
    policy: PublishPolicy = PublishPolicy.WITHOUT_FAILED
    keep: int | None = DEFAULT_KEEP


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRequest:
    """Whom to notify when a job ends: `webhook` is a URL, `then` a Celery task, TASK or TASK@QUEUE."""

    webhook: str | None = None
    then: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingRow:
    """A ranking. `publication_id` is its current publication, None before the first.

    The feed shows a change of score or rank only beyond `score_tolerance` or `rank_tolerance`.
    """

    ranking_id: int
    name: str
    keep: int
    score_tolerance: float
    rank_tolerance: int
    last_cursor: int
    publication_id: int | None


class Change(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class ChangeRow(NamedTuple):
    """The latest change of a pair in a ranking; `cursor` is its place in the feed.

    A removed pair has its ids and nothing else. A failed pair says why in `error`.
    Span offsets count in the document's own text, without its title.
    """

    cursor: int
    change: Change
    query_id: str
    document_id: str
    rank: int | None
    score: float | None
    logit: float | None
    span_start: int | None
    span_end: int | None
    error: str | None
    publication_id: int
    changed_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One published state of a ranking, made from one job.

    `restored_id` is the publication that a rollback brought back; `last_cursor` is the end of the feed after
    this publication.
    """

    publication_id: int
    ranking: str
    job_id: int
    restored_id: int | None
    num_pairs: int
    num_added: int
    num_changed: int
    num_removed: int
    last_cursor: int
    published_at: float

"""Jobs as they cross rooms: what is asked for, what submitting gave, and how far a job is."""

from dataclasses import dataclass
from enum import StrEnum

from rankmill.db.records.rankings import NotificationRequest, Publishing
from rankmill.db.records.scorers import ScorerSpec


class JobState(StrEnum):
    ACTIVE = "active"
    DONE = "done"
    CANCELLED = "cancelled"


class Priority(StrEnum):
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job as asked for. `key` is the digest of inputs and scorer: the same key is the same job.

    `spans` is the number of documents of each query whose best clauses are looked for.
    """

    key: str
    name: str | None
    scorer: ScorerSpec
    priority: Priority = Priority.NORMAL
    top_k: int | None = None
    min_score: float | None = None
    publishing: Publishing | None = None
    notification: NotificationRequest | None = None
    spans: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What submitting gave: a new job, or the same job recorded before (`is_new` is False)."""

    job_id: int
    is_new: bool
    num_queries: int
    num_documents: int
    num_pairs: int
    num_reused: int
    num_shards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """How far a job is. num_pairs = num_reused + num_scored + num_failed + num_waiting + num_claimed.

    `num_scored_tokens` is what was read; `num_open_tokens` estimates what is still to be read.
    `num_reused` counts pairs whose score was stored before the job was recorded.
    `num_failed` counts pairs that were given up (marked failed, in dead shards, cancelled). Those that have a
    score from elsewhere count as scored, as results show them.
    Times are seconds since the epoch by the database's clock.
    """

    job_id: int
    name: str | None
    state: JobState
    scorer: ScorerSpec
    num_pairs: int
    num_reused: int
    num_scored: int
    num_failed: int
    num_claimed: int
    num_waiting: int
    num_scored_tokens: int
    num_open_tokens: int
    num_shards: int
    num_dead_shards: int
    created_at: float
    finished_at: float | None
    paused_at: float | None = None
    now: float
    top_k: int | None
    min_score: float | None


PRIORITIES = {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.LOW: 2}

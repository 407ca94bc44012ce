"""The nouns that cross rooms: what producer, worker and store hand to each other.

Plain values without behaviour; knows nothing of SQL, files, queues or tensors.
Texts are named by their id in the store; offsets are [start, end) in Unicode code points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from db.publication_records import Publishing as Publishing
from db.publication_records import PublishPolicy as PublishPolicy
from db.publication_records import Telling as Telling
from db.scorer_records import EngineFacts as EngineFacts
from db.scorer_records import LongDocuments as LongDocuments
from db.scorer_records import Precision as Precision
from db.scorer_records import ScorerSpec as ScorerSpec
from db.scorer_records import WindowEnds as WindowEnds
from db.worker_records import Rescued as Rescued
from db.worker_records import WorkerRow as WorkerRow


class ShardState(StrEnum):
    READY = "ready"
    CLAIMED = "claimed"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


class JobState(StrEnum):
    ACTIVE = "active"
    DONE = "done"
    CANCELLED = "cancelled"


class Priority(StrEnum):
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A shard taken exclusively. (shard_id, worker_id, attempt) is the fence that lets its result land.

    `priority` is its job's, 0 the most urgent. A suspect lost an attempt before and is held by itself.
    """

    shard_id: int
    job_id: int
    worker_id: int
    attempt: int
    first_pair: int
    end_pair: int
    num_pairs: int
    num_tokens: int
    priority: int = 1
    is_suspect: bool = False


class TextPair(NamedTuple):
    """A pair to score, by the ids of its texts."""

    query_text_id: int
    document_text_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardWork:
    """A claimed shard with what must be scored: pairs in stored order, each once, and their texts by id."""

    claim: Claim
    pairs: Sequence[TextPair]
    texts: Mapping[int, str]


class PairScore(NamedTuple):
    """One score as it lands: the raw float32 logit of the best window and what was read to get it.

    `num_tokens` counts what the model read over all windows, special tokens included.
    `truncated` says that the document's end was cut, `query_truncated` that the query's was.
    """

    query_text_id: int
    document_text_id: int
    logit: float
    span_start: int
    span_end: int
    num_tokens: int
    num_windows: int
    truncated: bool
    query_truncated: bool


class PairFailure(NamedTuple):
    """A pair that cannot be scored, with a reason a person can act on."""

    query_text_id: int
    document_text_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """What scoring a shard gave; `num_tokens` is what the model really read."""

    claim: Claim
    scores: Sequence[PairScore]
    failures: Sequence[PairFailure]
    num_tokens: int


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


class PairCost(NamedTuple):
    """A pair of a job in stored order, with its estimated tokens (0 when its score is reused)."""

    pair_no: int
    document_no: int
    num_tokens: int


class ShardPlan(NamedTuple):
    """A shard to be: the half-open range of pair numbers, how many need scoring, their estimated tokens."""

    first_pair: int
    end_pair: int
    num_pairs: int
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A job as asked for. `key` is the digest of inputs and scorer: the same key is the same job.

    `spans` says for how many of each query's documents the best clauses are looked for.
    """

    key: str
    name: str | None
    scorer: ScorerSpec
    priority: Priority = Priority.NORMAL
    top_k: int | None = None
    min_score: float | None = None
    publishing: Publishing | None = None
    telling: Telling | None = None
    spans: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What submitting gave: a new job, or the one that was already there (`is_new` False)."""

    job_id: int
    is_new: bool
    num_queries: int
    num_documents: int
    num_pairs: int
    num_reused: int
    num_shards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """Where a job stands. num_pairs = num_reused + num_scored + num_failed + num_waiting + num_claimed.

    `num_open_tokens` estimates what is still to be read; `num_scored_tokens` is what really was.
    `num_reused` counts pairs whose score was stored before the job came; `num_failed` those given up
    (marked failed, of dead shards, cancelled) that have no score from elsewhere either: with one they count
    as scored, as results show them.
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


class Span(NamedTuple):
    """A clause [start, end) of a document's own text with the score and logit it has by itself."""

    start: int
    end: int
    score: float
    logit: float


class ResultRow(NamedTuple):
    """One pair of a job as people see it.

    `score` is sigmoid(logit); `rank` counts from 1 within the query by falling logit, ties by document id.
    A failed pair has no rank, score or logit and says why in `error`.
    Span offsets count in the document's own text, without its title.
    `truncated` says that the document's end was not read, `query_truncated` that the query's was not.
    `spans` are the best clauses of its best window, the best first, where the job was asked for them.
    """

    query_id: str
    document_id: str
    rank: int | None
    score: float | None
    logit: float | None
    span_start: int | None
    span_end: int | None
    num_tokens: int | None
    num_windows: int | None
    truncated: bool | None
    query_truncated: bool | None
    reused: bool
    error: str | None
    spans: Sequence[Span] = ()

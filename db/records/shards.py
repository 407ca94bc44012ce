"""Shards as they cross rooms: planned, claimed, and what scoring one gave.

Texts are named by their id in the store; offsets are [start, end) in Unicode code points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class ShardState(StrEnum):
    READY = "ready"
    CLAIMED = "claimed"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A shard that one worker holds. (shard_id, worker_id, attempt) is the fence: only with it results land.

    `priority` is the job's, 0 the most urgent. A suspect has lost an attempt before and is claimed alone.
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
    """A claimed shard and what it must score: distinct pairs in stored order, and their texts by id."""

    claim: Claim
    pairs: Sequence[TextPair]
    texts: Mapping[int, str]


class PairScore(NamedTuple):
    """One score as it lands: the raw float32 logit of the best window, and what was read for it.

    `num_tokens` counts what the model read in all windows, special tokens included.
    `truncated` says that the document's end was not read, `query_truncated` that the query's was not.
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
    """A pair that cannot be scored, with a reason that a person can act on."""

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


class PairCost(NamedTuple):
    """A pair of a job in stored order, with its estimated tokens (0 when its score is reused)."""

    pair_no: int
    document_no: int
    num_tokens: int


class ShardPlan(NamedTuple):
    """A shard to be made: pairs from `first_pair` to before `end_pair`.

    `num_pairs` of them need scoring; `num_tokens` is the estimate for these.
    """

    first_pair: int
    end_pair: int
    num_pairs: int
    num_tokens: int

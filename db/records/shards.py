"""Shards as they cross rooms: planned, claimed, loaded, and scored."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from rankmill.db.records.pairs import PairResults, PairTexts


class ShardState(StrEnum):
    READY = "ready"
    CLAIMED = "claimed"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardWork(PairTexts):
    """A claimed shard with what must be scored: its pairs without a score, in stored order."""

    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult(PairResults):
    """A claimed shard with what scoring its pairs gave."""

    claim: Claim


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

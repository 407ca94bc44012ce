"""Shards as they cross rooms: planned, claimed, loaded, and scored."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from rankmill.db.records.pairs import PairFailure, PairResults, PairTexts


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardWork(PairTexts):
    """A claimed shard with what must be scored: its pairs without a score, in stored order.

    `failures` are pairs that cannot be: they were given up before.
    """

    claim: Claim
    failures: Sequence[PairFailure] = ()


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
    """A shard to be made: pairs from `first_pair` to before `end_pair`.

    `num_pairs` of them need scoring; `num_tokens` is the estimate for these.
    """

    first_pair: int
    end_pair: int
    num_pairs: int
    num_tokens: int

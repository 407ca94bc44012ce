"""The small door to scoring: what a scorer promises, whatever computes behind it.

Knows nothing of models, stores or queues.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rankmill.db.records.scorers import EngineFacts
from rankmill.db.records.shards import ShardResult, ShardWork
from rankmill.db.records.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Prepared:
    """Shards made ready for scoring; what else a scorer keeps here is its own affair."""

    works: Sequence[ShardWork]


class Scorer(Protocol):
    """Scores the pairs of claimed shards.

    `prepare` may run in another thread than `score`, one call ahead of it. Both are pure in what they
    return: the same work gives the same scores, whatever was prepared or scored before.
    """

    @property
    def facts(self) -> EngineFacts:
        """What really computes here."""

    @property
    def claim_tokens(self) -> int:
        """How many estimated tokens one claim should hold to keep this scorer busy."""

    def prepare(self, works: Sequence[ShardWork]) -> Prepared:
        """Turn texts into batches."""

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[ShardResult]:
        """Score prepared shards, one result per work in the order given.

        A pair that cannot be scored becomes a failure of its shard and disturbs no other.
        `should_stop` is asked between batches. Raises Stopped, with what is whole by then, when it says yes.
        """

    def take_counts(self) -> Telemetry:
        """What was computed since this was last called; times are not known here."""

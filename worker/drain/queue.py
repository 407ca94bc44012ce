"""The store's queue as one drain sees it: the shards of one model, or of one of its jobs.

Knows the verbs that look for shards and claim them; knows nothing of how they are scored or end.
"""

import logging
import time

from rankmill.db.queue import claims, fair_share
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.refusals import readable_work
from rankmill.db.records.pairs import TextPair
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.records.shards import Claim, ShardWork
from rankmill.db.store.store import Store
from rankmill.worker.drain.leases import WorkerLeases
from rankmill.worker.drain.loaded_scorer import LoadedScorer
from rankmill.worker.drain.store_trouble import StoreTrouble

log = logging.getLogger("rankmill.worker")


class ShardQueue:
    """The shards of a model, or of `job_id` alone, but for those that the store's trouble has set aside.

    Every call but `num_ready` is tried again while the store is busy or away. Each raises StoreError.
    """

    def __init__(
        self, store: Store, leases: WorkerLeases, trouble: StoreTrouble, model: str, job_id: int | None
    ) -> None:
        self._store, self._leases, self._trouble = store, leases, trouble
        self._model, self._job_id = model, job_id

    def num_ready(self) -> int:
        return claims.num_ready(self._store, self._model, self._job_id)

    def ready_scorers(self) -> list[tuple[int, ScorerSpec]]:
        """The scorers that have ready shards, with the most urgent first."""

        def look() -> list[tuple[int, ScorerSpec]]:
            return fair_share.ready_scorers(
                self._store, self._model, self._job_id, self._trouble.resting_shards()
            )

        return self._leases.retry_store("ready_scorers", look)

    def more_urgent_scorers(self, scorer_id: int) -> list[int]:
        """The scorers whose shards are more urgent than those of `scorer_id`; none if that has none ready."""
        if self._job_id is not None:
            return []

        def look() -> dict[int, int]:
            return self.first_priorities()

        first = self._leases.retry_store("ready_scorers", look)
        own = first.get(scorer_id)
        return [] if own is None else [other for other, priority in first.items() if priority < own]

    def first_priorities(self) -> dict[int, int]:
        """The scorers that have ready shards, with the priority of the most urgent. Tries once."""
        return fair_share.first_priorities(self._store, self._model, self._trouble.resting_shards())

    def claim(self, loaded: LoadedScorer, *, may_take_suspect: bool) -> list[Claim]:
        """Claims as much as keeps the scorer busy; a suspect only with free hands, and alone."""
        taken = self._leases.retry_store("claim", lambda: self._claim(loaded, may_take_suspect))
        if taken:
            fields = {
                "num_shards": len(taken),
                "job_ids": sorted({claim.job_id for claim in taken}),
                "num_pairs": sum(claim.num_pairs for claim in taken),
                "num_tokens": sum(claim.num_tokens for claim in taken),
            }
            log.info("claimed", extra={"fields": fields})
        return taken

    def load(self, claim: Claim) -> ShardWork:
        """What of a claimed shard must be scored."""
        return self._leases.retry_store("load", lambda: load(self._store, claim))

    def load_readable(self, claim: Claim) -> tuple[ShardWork, dict[TextPair, str]]:
        """What of it can be loaded, and the pairs with a text that the store does not give."""
        return self._leases.retry_store("load", lambda: readable_work(self._store, claim))

    def _claim(self, loaded: LoadedScorer, may_take_suspect: bool) -> list[Claim]:
        asked_at = time.monotonic()
        taken = claims.claim(
            self._store,
            worker_id=self._leases.worker_id,
            scorer_id=loaded.scorer_id,
            budget_tokens=loaded.scorer.claim_tokens,
            lease_s=self._leases.lease_s,
            job_id=self._job_id,
            may_take_suspect=may_take_suspect,
            but=self._trouble.resting_shards,
        )
        self._leases.hold(taken, asked_at)
        return taken

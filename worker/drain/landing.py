"""Ends claims: scores land, bad shards fail, unscored ones are released. Counts and logs each.

Knows the verbs that end a claim; knows nothing of how scores are made.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress

from rankmill.db.errors import StoreError
from rankmill.db.queue import claims
from rankmill.db.queue.landing import complete
from rankmill.db.records.shards import Claim, ShardResult
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.store.store import Store
from rankmill.worker.drain.leases import WorkerLeases
from rankmill.worker.drain.report import DrainReport
from rankmill.worker.health.store_retry import STORE_TROUBLE

log = logging.getLogger("rankmill.worker")


class Landing:
    """Ends the claims of one drain. Several threads may call it."""

    def __init__(
        self,
        store: Store,
        leases: WorkerLeases,
        report: DrainReport,
        max_attempts: int,
    ) -> None:
        self._store, self._leases, self._report = store, leases, report
        self._max_attempts = max_attempts
        self._counting = threading.Lock()

    def land(self, engine_id: int, results: Sequence[ShardResult]) -> None:
        """Stores scores and ends their shards. A shard whose scores the store refuses fails alone.

        Raises StoreError when the store cannot be reached for too long; then the claims stay held.
        """
        if not results:
            return
        try:
            landed = self._leases.retry_store("complete", lambda: complete(self._store, engine_id, results))
        except STORE_TROUBLE:
            raise
        except Exception as error:
            if len(results) == 1:
                self.fail(results[0].claim, error)
                return
            for result in results:
                self.land(engine_id, [result])
            return
        self._leases.let_go(result.claim for result in results)
        self._count(results, landed)
        if landed:
            with suppress(StoreError):  # only a note
                self._leases.note_landing()

    def fail(self, claim: Claim, error: Exception) -> None:
        """Gives a shard back with the reason, or for good after the last attempt. Raises StoreError."""
        reason = reason_of(error)
        state = self._leases.retry_store(
            "fail", lambda: claims.fail(self._store, claim, reason, self._max_attempts)
        )
        self._leases.let_go([claim])
        with self._counting:
            self._report.num_failed_shards += 1
        fields = {"shard_id": claim.shard_id, "job_id": claim.job_id, "state": state, "reason": reason}
        log.error("shard_failed", extra={"fields": fields})
        log.debug("shard_failure", exc_info=error, extra={"fields": fields})

    def release_held(self) -> None:
        """Gives back unharmed all that this process still holds.

        Never raises StoreError: what cannot be released leaves with this process's row.
        """
        unscored = self._leases.held
        if not unscored:
            return
        fields: dict[str, object] = {"num_shards": len(unscored)}
        try:
            self._leases.retry_store("release", lambda: claims.release(self._store, unscored))
        except StoreError as error:
            log.error("release_failed", extra={"fields": fields | {"reason": reason_of(error)}})
            self._leases.start_over()
            return
        self._leases.let_go(unscored)
        with self._counting:
            self._report.num_released += len(unscored)
        log.info("released", extra={"fields": fields})

    def _count(self, results: Sequence[ShardResult], landed: set[int]) -> None:
        ours = [result for result in results if result.claim.shard_id in landed]
        num_scores = sum(len(result.scores) for result in ours)
        num_failures = sum(len(result.failures) for result in ours)
        with self._counting:
            self._report.num_shards += len(ours)
            self._report.num_pairs += num_scores + num_failures
            self._report.num_failed_pairs += num_failures
            self._report.num_tokens += sum(result.num_tokens for result in ours)
            self._report.num_lost += len(results) - len(ours)
        fields = {"num_shards": len(ours), "num_scores": num_scores, "num_failures": num_failures}
        log.info("landed", extra={"fields": fields})
        for result in results:
            if result.claim.shard_id not in landed:
                lost = {"shard_id": result.claim.shard_id, "attempt": result.claim.attempt}
                log.warning("lease_lost", extra={"fields": lost})

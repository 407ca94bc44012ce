"""Ends claims: scores land, bad shards fail, unscored ones are released. Counts and logs each.

Knows the verbs that end a claim; knows nothing of how scores are made.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from rankmill.db.errors import StoreError, StoreRefused, WrongResult
from rankmill.db.queue import claims
from rankmill.db.queue.landing import complete
from rankmill.db.queue.refusals import refused_scores
from rankmill.db.records.pairs import PairFailure
from rankmill.db.records.shards import Claim, ShardResult
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.store.store import Store
from rankmill.worker.drain.leases import WorkerLeases
from rankmill.worker.drain.report import DrainReport
from rankmill.worker.drain.store_trouble import StoreTrouble, Verdict

NO_SCORE = "the store refuses its score"

log = logging.getLogger("rankmill.worker")


class Landing:
    """Ends the claims of one drain. Several threads may call it."""

    def __init__(
        self,
        store: Store,
        leases: WorkerLeases,
        trouble: StoreTrouble,
        report: DrainReport,
        max_attempts: int,
    ) -> None:
        self._store, self._leases, self._trouble, self._report = store, leases, trouble, report
        self._max_attempts = max_attempts
        self._counting = threading.Lock()

    def land(self, engine_id: int, results: Sequence[ShardResult]) -> None:
        """Stores scores and ends their shards. A shard that the store refuses alone is set aside.

        Raises StoreError when the store takes no scores at all, or cannot be reached for too long; then the
        claims stay held.
        """
        if not results:
            return
        try:
            landed = self._leases.retry_store("complete", lambda: complete(self._store, engine_id, results))
        except (StoreRefused, WrongResult) as error:
            if len(results) > 1:
                for result in results:
                    self.land(engine_id, [result])
            elif isinstance(error, WrongResult):
                self.fail(results[0].claim, error)
            else:
                self._land_refused(engine_id, results[0], error)
            return
        for result in results:
            self._trouble.forget(result.claim)
        self._leases.let_go(result.claim for result in results)
        self._count(results, landed)
        if landed:
            with suppress(StoreError):  # only a note
                self._leases.note_landing()

    def _land_refused(self, engine_id: int, result: ShardResult, error: StoreRefused) -> None:
        """Sets the shard aside, or lands it without the pairs that the store has refused for long enough."""
        refused = self._leases.retry_store("trial", lambda: refused_scores(self._store, engine_id, result))
        verdict = self._trouble.judge(result.claim, refused)
        if verdict is Verdict.STORE_TROUBLE:
            raise error
        if verdict is Verdict.SET_ASIDE:
            self.set_aside(result.claim, error)
            return
        lost = [PairFailure(*pair, f"{NO_SCORE}: {reason}") for pair, reason in refused.items()]
        kept = [score for score in result.scores if score[:2] not in refused]
        self.land(engine_id, [replace(result, scores=kept, failures=[*result.failures, *lost])])

    def set_aside(self, claim: Claim, error: StoreRefused) -> None:
        """Gives a shard back unharmed that the store refuses. Raises StoreError."""
        reason = reason_of(error)
        self._leases.retry_store("release", lambda: claims.release(self._store, [claim], reason))
        self._leases.let_go([claim])
        with self._counting:
            self._report.num_released += 1
        fields = {"shard_id": claim.shard_id, "job_id": claim.job_id, "reason": reason}
        log.warning("set_aside", extra={"fields": fields})

    def fail(self, claim: Claim, error: Exception) -> None:
        """Gives a shard back with the reason, or for good after the last attempt. Raises StoreError."""
        reason = reason_of(error)
        state = self._leases.retry_store(
            "fail", lambda: claims.fail(self._store, claim, reason, self._max_attempts)
        )
        self._trouble.forget(claim)
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

"""Rescue rounds: shards of silent workers become ready again, and a doorbell is rung for ready shards.

They run as a thread of every worker's parent process. Any number at once is harmless. Knows the store's verbs
and a doorbell; knows no scorer.
"""

import logging
from dataclasses import asdict

from rankmill.db.queue import claims
from rankmill.db.queue.rescue import NOTHING, rescue_orphans, rescue_silent, total
from rankmill.db.store.store import Store
from rankmill.worker.broker.doorbell import Doorbell
from rankmill.worker.maintenance.periodic import Periodic

log = logging.getLogger("rankmill.worker")


class RescueRounds(Periodic):
    """Rescues for all jobs and rings for ready shards of `model`, or of `job_id` alone."""

    def __init__(
        self,
        store: Store,
        doorbell: Doorbell,
        *,
        model: str,
        job_id: int | None,
        rescue_s: float,
        max_attempts: int,
    ) -> None:
        super().__init__("rescue", rescue_s, failure="rescue_failed")
        self._store, self._doorbell = store, doorbell
        self._model, self._job_id = model, job_id
        self._max_attempts = max_attempts

    def round(self) -> None:
        """Rescues, and rings if shards are ready. Raises StoreError."""
        expired = rescue_silent(self._store, self._max_attempts)
        rescued = total(expired, rescue_orphans(self._store, self._max_attempts))
        if rescued != NOTHING:
            log.warning("rescued", extra={"fields": asdict(rescued)})
        num_ready = claims.num_ready(self._store, self._model, self._job_id)
        if num_ready and not self._is_ended:
            self._doorbell.ring(num_ready, self._job_id, only_if_silent=True)

"""Rescue rounds: shards of silent workers become ready again, and ready shards nobody heard of are rung for.

Runs as a thread of every worker's parent process, whether or not anything else does; any number at once is
harmless. Knows the store's verbs and a doorbell; knows no scorer.
"""

import logging
import random
import threading
import time

from db import claims
from db.errors import StoreError
from db.events import reason_of
from db.store import Store
from worker.doorbell import Doorbell

_POLL_S = 0.2

log = logging.getLogger("rankmill.worker")


class RescueRounds(threading.Thread):
    """A round at once, then one every `rescue_s` seconds or so. No error ends it."""

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
        super().__init__(name="rescue", daemon=True)
        self._store, self._doorbell = store, doorbell
        self._model, self._job_id = model, job_id
        self._rescue_s, self._max_attempts = rescue_s, max_attempts
        self._is_ended = False

    def end(self) -> None:
        """No further round starts. Safe in a signal handler, so it takes no lock."""
        self._is_ended = True

    def run(self) -> None:
        while not self._is_ended:
            try:
                self.round()
            except StoreError as error:
                log.warning("rescue_failed", extra={"fields": {"reason": reason_of(error)}})
            except Exception as error:
                log.exception("rescue_failed", extra={"fields": {"reason": reason_of(error)}})
            self._pause(self._rescue_s * random.uniform(0.8, 1.2))  # noqa: S311  (spreads rounds)

    def round(self) -> None:
        """One round. Raises StoreError."""
        expired = claims.rescue(self._store, self._max_attempts)
        orphaned = claims.rescue_orphans(self._store, self._max_attempts)
        num_returned = expired.num_returned + orphaned.num_returned
        num_dead = expired.num_dead + orphaned.num_dead
        if num_returned or num_dead:
            fields = {"num_returned": num_returned, "num_dead": num_dead}
            log.warning("rescued", extra={"fields": fields})
        num_ready = claims.num_ready(self._store, self._model, self._job_id)
        if num_ready and not self._is_ended:
            self._doorbell.ring(num_ready, self._job_id, only_if_silent=True)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._is_ended and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_S))

"""A scoring process among the store's workers: registers, renews its leases by a heartbeat, says farewell.

Knows which claims this process holds, and so how long trying to reach the store makes sense. Knows no text
and no score.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from rankmill.db.errors import StoreError
from rankmill.db.queue import claims, workers
from rankmill.db.records.shards import Claim
from rankmill.db.records.telemetry import Telemetry
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.store.store import Store
from rankmill.worker.health.stop import Stop
from rankmill.worker.health.store_retry import retry_store

_RETRY_S = 1.0

log = logging.getLogger("rankmill.worker")

T = TypeVar("T")


class WorkerLeases:
    """This process's row among the workers, and its claims.

    A claim whose confirmation was lost is in the store and not here, so no heartbeat extends it. A process
    that is unsure of what it holds calls `start_over`: the old row leaves, and what it had claimed is ready
    at once.
    """

    def __init__(
        self,
        store: Store,
        model: str,
        *,
        stop: Stop,
        on_wait: Callable[[], None] = lambda: None,
        lease_s: float,
        heartbeat_s: float,
        only_job_id: int | None = None,
        broker_digest: str | None = None,
    ) -> None:
        self._store, self._model, self._stop, self._on_wait = store, model, stop, on_wait
        self._only_job_id, self._broker_digest = only_job_id, broker_digest
        self.lease_s, self._heartbeat_s = lease_s, heartbeat_s
        self._lock = threading.RLock()
        self._worker_id: int | None = None
        self._leaving: int | None = None
        self._held: dict[int, Claim] = {}
        self._has_landed = False
        self._device: str | None = None
        self.telemetry: Telemetry | None = None
        """Of the current drain, or of the last one. A heartbeat stores it."""
        self._stored_telemetry: Telemetry | None = None
        self._believed_since = time.monotonic()
        self._is_ended = threading.Event()
        self._heartbeat = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)

    def begin(self) -> None:
        """Starts the heartbeat, which registers this process as soon as the store can be reached."""
        self._heartbeat.start()

    @property
    def worker_id(self) -> int:
        """This process's id among the workers; the first use registers it. Raises StoreError."""
        with self._lock:
            self._leave()
            if self._worker_id is None:
                self._worker_id = workers.register(
                    self._store,
                    self._model,
                    only_job_id=self._only_job_id,
                    broker_digest=self._broker_digest,
                )
                fields = {"worker_id": self._worker_id, "model": self._model}
                log.info("worker_registered", extra={"fields": fields})
                if self._device is not None:
                    workers.describe(self._store, self._worker_id, self._device)
            return self._worker_id

    def hold(self, taken: Iterable[Claim], claimed_at: float) -> None:
        """Notes new claims; `claimed_at` is the monotonic time just before the store was asked for them."""
        with self._lock:
            if not self._held:
                self._believed_since = claimed_at
            self._held |= {claim.shard_id: claim for claim in taken}

    def let_go(self, gone: Iterable[Claim]) -> None:
        """Notes that claims have landed, failed, been released or been lost."""
        with self._lock:
            for claim in gone:
                if self._held.get(claim.shard_id) == claim:  # and not a later attempt of ours
                    del self._held[claim.shard_id]

    @property
    def held(self) -> list[Claim]:
        with self._lock:
            return list(self._held.values())

    def retry_store(self, verb: str, call: Callable[[], T]) -> T:
        """What `call` returns, tried again while the store is busy or away.

        Trying lasts while the leases we hold can still be saved, or for a lease's length when we hold none;
        after a stop only a few seconds. Raises StoreError.
        """
        deadline = time.monotonic() + self.lease_s

        def until() -> float:
            return self._believed_until() if self.held else deadline

        return retry_store(verb, call, until=until, stop=self._stop, on_wait=self._on_wait)

    def _believed_until(self) -> float:
        """The monotonic time until which our leases surely hold, if no heartbeat gets through any more."""
        return self._believed_since + self.lease_s

    def describe(self, device: str) -> None:
        """Notes what this process computes on, in every row that it will have."""
        self._device = device
        workers.describe(self._store, self.worker_id, device)

    def report_problem(self, problem: str | None) -> None:
        workers.report_problem(self._store, self.worker_id, problem)

    def note_landing(self) -> None:
        """Notes in the store, once, that this process has landed scores. Raises StoreError."""
        if not self._has_landed:
            workers.note_landing(self._store, self.worker_id)
            self._has_landed = True

    def start_over(self) -> None:
        """Gives up this row and all its claims; the next use registers a new row. Never raises StoreError."""
        with self._lock:
            self._held.clear()
            self._stored_telemetry = None
            if self._worker_id is not None:
                self._worker_id, self._leaving = None, self._worker_id
            try:
                self._leave()
            except StoreError as error:
                fields = {"worker_id": self._leaving, "reason": reason_of(error)}
                log.warning("farewell_failed", extra={"fields": fields})
                if self._leaving is not None:
                    with suppress(StoreError):
                        workers.sign_off(self._store, self._leaving)

    def sign_off(self) -> None:
        """Notes that this process ends, whatever it holds. Raises StoreError."""
        if (worker_id := self._worker_id) is not None:
            workers.sign_off(self._store, worker_id)

    def end(self) -> None:
        """Says farewell: whatever this process has claimed is then ready for others."""
        self._is_ended.set()
        self.start_over()

    def _leave(self) -> None:
        if self._leaving is not None:
            workers.farewell(self._store, self._leaving)
            log.info("worker_farewell", extra={"fields": {"worker_id": self._leaving}})
            self._leaving = None

    def _keep_beating(self) -> None:
        pause_s = retry_s = 0.0
        while not self._is_ended.wait(pause_s):
            try:
                self._beat()
                pause_s, retry_s = self._heartbeat_s, 0.0
            except Exception as error:  # whatever it was, the next beat may succeed
                log.warning("heartbeat_failed", extra={"fields": {"reason": reason_of(error)}})
                pause_s = retry_s = min(self._heartbeat_s, max(_RETRY_S, retry_s * 2))

    def _beat(self) -> None:
        asked_at = time.monotonic()
        claims.renew(self._store, self.worker_id, self.lease_s, self.held)
        with self._lock:
            self._believed_since = max(self._believed_since, asked_at)
        if (telemetry := self.telemetry) is not None and telemetry != self._stored_telemetry:
            workers.note_telemetry(self._store, self.worker_id, telemetry)
            self._stored_telemetry = telemetry

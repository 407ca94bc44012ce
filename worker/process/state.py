"""What a scoring process keeps from task to task: the store, its leases, the scorer, the stop flag.

It exists in the pool's child process only, so the worker's parent process never loads a model.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

from rankmill.db.errors import StoreError
from rankmill.db.queue import claims
from rankmill.db.queue.rescue import NOTHING, rescue_orphans
from rankmill.db.records.shards import Claim
from rankmill.db.runtime.broker_urls import broker_digest
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.worker.drain.drain import Drain, DrainTerms
from rankmill.worker.drain.leases import WorkerLeases
from rankmill.worker.drain.loaded_scorer import ScorerCache
from rankmill.worker.drain.report import DrainReport
from rankmill.worker.drain.store_trouble import StoreTrouble
from rankmill.worker.health.stop import Stop
from rankmill.worker.health.watchdog import Pulse, Watchdog
from rankmill.worker.loading.load import load_scorer

EXIT_HUNG = 1
LAST_WORDS_S = 10.0  # a process that hangs may be unable to give its claims back

log = logging.getLogger("rankmill.worker")

stop = Stop()
_current: "WorkerState | None" = None
_making = threading.Lock()


class WorkerState:
    """A scoring process at work. Raises StoreError when the store cannot be reached."""

    def __init__(self, settings: Settings, model: str) -> None:
        self._store: Store = open_store(settings.store)
        self._pulse = Pulse()
        self._leases = WorkerLeases(
            self._store,
            model,
            stop=stop,
            on_wait=self._pulse.beat,
            lease_s=settings.lease_s,
            heartbeat_s=settings.heartbeat_s,
            only_job_id=settings.job,
            broker_digest=broker_digest(settings.broker) if settings.broker else None,
        )
        self._trouble = StoreTrouble(self._leases)
        load = partial(load_scorer, batch_tokens=settings.batch_tokens)
        self._scorer_cache = ScorerCache(self._store, self._leases, load)
        self._max_attempts = settings.max_attempts
        self._terms = DrainTerms(
            model=model,
            job_id=settings.job,
            drain_s=settings.drain_s,
            max_attempts=settings.max_attempts,
        )
        self._hang_s = settings.hang_s
        self._watchdog = Watchdog(self._pulse, settings.hang_s, self._end_hung)
        self._leases.begin()
        self._watchdog.start()
        self._rescue_orphans()

    def drain(self, on_more: Callable[[int], None]) -> DrainReport:
        """Drains once, in the process's main thread."""
        drain = Drain(
            self._store,
            self._leases,
            self._scorer_cache,
            self._trouble,
            self._terms,
            stop=stop,
            on_more=on_more,
            pulse=self._pulse,
        )
        return drain.drain()

    def leave(self) -> None:
        """Says farewell and closes the store."""
        self._watchdog.end()
        self._leases.end()
        self._store.close()

    def _end_hung(self, suspects: Sequence[Claim]) -> None:
        """Ends this process for others to get its claims. What it was scoring fails, the rest is released.

        Nothing fails when it was waiting for the store, or for a model.
        """
        threading.Timer(LAST_WORDS_S, os._exit, (EXIT_HUNG,)).start()
        try:
            reason = f"no batch of it was finished within {self._hang_s:g} s (RANKMILL_HANG_S)"
            fields = {"num_shards": len(suspects), "hang_s": self._hang_s}
            log.critical("hung", extra={"fields": fields})
            for claim in suspects:
                claims.fail(self._store, claim, reason, self._max_attempts)
            self._leases.sign_off()  # the rest may be held up by what this process waits for
            self._leases.start_over()
        finally:
            os._exit(EXIT_HUNG)

    def _rescue_orphans(self) -> None:
        """Gives back the claims of processes that died here, without waiting for a rescue round."""
        try:
            rescued = rescue_orphans(self._store, self._max_attempts)
        except StoreError as error:
            log.warning("rescue_failed", extra={"fields": {"reason": reason_of(error)}})
            return
        if rescued != NOTHING:
            log.warning("rescued", extra={"fields": asdict(rescued)})


def current(settings: Settings, model: str) -> WorkerState:
    """This process's state, made on first use. Raises StoreError."""
    global _current
    with _making:
        if _current is None:
            _current = WorkerState(settings, model)
        return _current


def leave() -> None:
    """Says farewell and closes the store, if this process has a state."""
    global _current
    if _current is not None:
        _current.leave()
        _current = None

"""Counts pool processes that ended by themselves before they had scored anything.

Runs as a thread of the worker's parent process, which starts such a process again and again and would do so
for ever. A worker that has scored before is trusted longer: to find out which pair kills processes costs some
losses in a row. Knows process ids and the store's word for progress; knows no pool.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from rankmill.db.errors import StoreError
from rankmill.db.queue.workers import has_landed
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.runtime.process_identity import ProcessIdentity, identity_of, is_alive
from rankmill.db.store.store import Store

MAX_LOSSES = 4
MAX_LOSSES_ONCE_PROVEN = 16
_POLL_S = 0.2

log = logging.getLogger("rankmill.worker")


class CrashLoop(threading.Thread):
    """Calls `on_hopeless` with a sentence when so many processes in a row scored nothing and ended."""

    def __init__(
        self, store: Store, pids: Callable[[], Iterable[int]], on_hopeless: Callable[[str], None]
    ) -> None:
        super().__init__(name="losses", daemon=True)
        self._store, self._pids, self._on_hopeless = store, pids, on_hopeless
        self._known: dict[int, ProcessIdentity] = {}
        self._num_lost, self._max_losses = 0, MAX_LOSSES
        self._is_ended = False

    def end(self) -> None:
        """From now on processes end because they were asked to. Takes no lock."""
        self._is_ended = True

    def run(self) -> None:
        while not self._is_ended:
            time.sleep(_POLL_S)
            self.look()
            if self._num_lost >= self._max_losses and not self._is_ended:
                self._on_hopeless(
                    f"The scoring process of this worker ended {self._num_lost} times in a row before it had "
                    "scored anything, so the worker gives up. Most often the machine has too little memory "
                    "for the model and the system kills the process (see dmesg): give it more, or choose a "
                    "smaller model or a lower RANKMILL_BATCH_TOKENS."
                )
                return

    def look(self) -> None:
        """Counts who is gone since the last look; one that had scored something makes up for all before."""
        for pid in self._pids():
            if pid not in self._known and (identity := identity_of(pid)).started:
                self._known[pid] = identity
        for pid, identity in list(self._known.items()):
            if not is_alive(identity):
                del self._known[pid]
                self._num_lost += 1
                if self._had_landed(identity):
                    self._num_lost, self._max_losses = 0, MAX_LOSSES_ONCE_PROVEN
                log.warning("child_lost", extra={"fields": {"pid": pid, "num_lost": self._num_lost}})

    def _had_landed(self, identity: ProcessIdentity) -> bool:
        """In doubt it had: a worker is not given up for a store that is away."""
        try:
            return has_landed(self._store, identity)
        except StoreError as error:
            log.warning("losses_unknown", extra={"fields": {"reason": reason_of(error)}})
            return True

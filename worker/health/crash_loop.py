"""Counts pool processes that ended by themselves before they had scored anything.

Runs as a thread of the worker's parent process, which otherwise would start such a process again and again. A
worker that has scored before may have more crashes in a row: finding the pair that ends processes takes some.
Knows process ids, and how the store notes progress; knows no pool.
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

MAX_CRASHES = 4
MAX_CRASHES_ONCE_PROVEN = 16
_POLL_S = 0.2

log = logging.getLogger("rankmill.worker")


class CrashLoopWatch(threading.Thread):
    """Calls `on_give_up` with a sentence when too many processes in a row ended without having scored."""

    def __init__(
        self, store: Store, pids: Callable[[], Iterable[int]], on_give_up: Callable[[str], None]
    ) -> None:
        super().__init__(name="crash-loop", daemon=True)
        self._store, self._pids, self._on_give_up = store, pids, on_give_up
        self._known: dict[int, ProcessIdentity] = {}
        self._num_crashes, self._max_crashes = 0, MAX_CRASHES
        self._is_ended = False

    def end(self) -> None:
        """Stops counting: processes now end because they were asked to. Takes no lock."""
        self._is_ended = True

    def run(self) -> None:
        while not self._is_ended:
            time.sleep(_POLL_S)
            self.look()
            if self._num_crashes >= self._max_crashes and not self._is_ended:
                self._on_give_up(
                    f"The scoring process of this worker ended {self._num_crashes} times in a row before it "
                    "had scored anything, so the worker gives up. Most often the machine has too little "
                    "memory for the model and the system kills the process (see dmesg): give it more, or "
                    "choose a smaller model or a lower RANKMILL_BATCH_TOKENS."
                )
                return

    def look(self) -> None:
        """Counts processes that ended since the last look. One that had scored resets the count to zero."""
        for pid in self._pids():
            if pid not in self._known and (identity := identity_of(pid)).started:
                self._known[pid] = identity
        for pid, identity in list(self._known.items()):
            if not is_alive(identity):
                del self._known[pid]
                self._num_crashes += 1
                if self._had_landed(identity):
                    self._num_crashes, self._max_crashes = 0, MAX_CRASHES_ONCE_PROVEN
                log.warning("child_lost", extra={"fields": {"pid": pid, "num_lost": self._num_crashes}})

    def _had_landed(self, identity: ProcessIdentity) -> bool:
        """In doubt, yes: a worker does not give up because its store is away."""
        try:
            return has_landed(self._store, identity)
        except StoreError as error:
            log.warning("losses_unknown", extra={"fields": {"reason": reason_of(error)}})
            return True

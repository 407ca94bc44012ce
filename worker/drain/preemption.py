"""Looks, while shards are in hand, for a reason to give them back: a pause, a cancel, a more urgent job.

Runs as a thread, so that a slow store delays no batch; the thread that scores asks it between batches. Knows
jobs and priorities; knows no scorer and ends no claim.
"""

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Self

from rankmill.db.errors import StoreError
from rankmill.db.jobs.progress import not_running
from rankmill.db.records.shards import Claim
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.store.store import Store

EVERY_S = 1.0

log = logging.getLogger("rankmill.worker")


class PreemptionWatch:
    """Looks about every second, while its context lasts.

    `priorities` gives the scorers with ready shards, each with its most urgent priority. `in_hand` gives the
    claims that are held; `may_try` says of a scorer whether this drain could score by it.
    """

    def __init__(
        self,
        store: Store,
        priorities: Callable[[], Mapping[int, int]],
        in_hand: Callable[[], Collection[Claim]],
        may_try: Callable[[int], bool],
        *,
        is_of_one_job: bool,
    ) -> None:
        self._store, self._priorities, self._is_of_one_job = store, priorities, is_of_one_job
        self._in_hand, self._may_try = in_hand, may_try
        self.has_recalled = False
        self._not_running: frozenset[int] = frozenset()
        self._most_urgent: int | None = None
        self._is_ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="preemption", daemon=True)

    def recalls(self, held: Collection[Claim]) -> bool:
        """Whether these claims, scored together, must be given back now. Once true, it stays true."""
        if not self.has_recalled and (reason := self._reason_against(held)) is not None:
            self.has_recalled = True
            log.info("recalled", extra={"fields": {"num_shards": len(held), "reason": reason}})
        return self.has_recalled

    def _reason_against(self, held: Collection[Claim]) -> str | None:
        if any(claim.job_id in self._not_running for claim in held):
            return "a job was paused or cancelled"
        # What is in hand but not being scored yet waits, too.
        waiting = [claim.priority for claim in self._in_hand()]
        if self._most_urgent is not None:
            waiting.append(self._most_urgent)
        if any(claim.priority > min(waiting, default=claim.priority) for claim in held):
            return "a more urgent job is ready"
        return None

    def look(self) -> None:
        """Looks once. Raises StoreError."""
        held = self._in_hand()
        if not held:
            return
        self._not_running |= not_running(self._store, {claim.job_id for claim in held})
        if not self._is_of_one_job:
            found = self._priorities().items()
            ready = [priority for scorer_id, priority in found if self._may_try(scorer_id)]
            self._most_urgent = min(ready, default=None)

    def _keep_looking(self) -> None:
        while not self._is_ended.wait(EVERY_S):
            try:
                self.look()
            except StoreError as error:  # landing will meet the same error, and tries again
                log.debug("look_failed", extra={"fields": {"reason": reason_of(error)}})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Does not wait for a look that is still waiting for the store."""
        self._is_ended.set()

"""Measures where a drain's time goes: each second of the scoring thread is in exactly one column.

Also adds up what was computed. Knows clocks and counts; knows nothing of what is scored.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rankmill.db.records.telemetry import Telemetry
from rankmill.worker.scorer.protocol import Scorer

log = logging.getLogger("rankmill.worker")


class DrainTiming:
    """The times of one drain. Only the thread that scores may call it; any thread may read `total`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.total = Telemetry()
        self._group = Telemetry()
        self._since = 0.0

    def begin(self) -> None:
        """From now on every second counts."""
        self._since = self._clock()

    def waited_for_group(self, preparing_since: float | None) -> None:
        """Counts the wait for a group: for the store until its texts were loaded, then for their tokens."""
        asked, now = self._since, self._clock()
        turned = now if preparing_since is None else min(max(asked, preparing_since), now)
        self._add(Telemetry(store_s=turned - asked, tokens_s=now - turned), now)

    def waited_for_store(self) -> None:
        now = self._clock()
        self._add(Telemetry(store_s=now - self._since), now)

    @contextmanager
    def scoring(self, scorer: Scorer) -> Iterator[None]:
        """While this lasts, the device computes."""
        self.waited_for_store()
        try:
            yield
        finally:
            now = self._clock()
            self._add(replace(scorer.take_counts(), device_s=now - self._since), now)

    def close_group(self) -> None:
        """Logs the group's line."""
        group, self._group = self._group, Telemetry()
        if group.num_batches:
            log.info("scored", extra={"fields": group.facts() | {"words": group.words()}})

    def _add(self, part: Telemetry, now: float) -> None:
        self._since = now
        self.total += part
        self._group += part

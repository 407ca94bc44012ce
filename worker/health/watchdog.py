"""Notices a process that scores nothing any more: a pulse beats between batches, a watchdog counts silence.

How long a shard or a drain takes in all does not matter, only that something goes on. Knows no store.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rankmill.db.records.shards import Claim

_POLL_S = 5.0
SUSPECT_S = 60.0


class Pulse:
    """The sign of life of the one drain of a process. Plain attributes: beating must cost nothing."""

    def __init__(self) -> None:
        self.num_beats = 0
        self.patience = 0.0
        """How many times its usual silence is allowed now; 0 while there is nothing to do."""
        self.suspects: Sequence[Claim] = ()
        """What is being scored: to blame if nothing ever comes of it."""
        self.being_prepared: Sequence[Claim] = ()
        """What is made ready for scoring: to blame if nothing is being scored."""

    def beat(self) -> None:
        self.num_beats += 1

    @contextmanager
    def working(self, patience: float = 1.0) -> Iterator[None]:
        """While this lasts there must be beats."""
        self.beat()
        before, self.patience = self.patience, patience
        try:
            yield
        finally:
            self.beat()
            self.patience = before

    @contextmanager
    def scoring(self, claims: Sequence[Claim]) -> Iterator[None]:
        """While this lasts, `claims` are to blame for silence."""
        self.beat()
        before, self.suspects = self.suspects, claims
        try:
            yield
        finally:
            self.suspects = before

    @contextmanager
    def preparing(self, claims: Sequence[Claim]) -> Iterator[None]:
        """While this lasts, `claims` are to blame if nothing is being scored and nothing goes on."""
        before, self.being_prepared = self.being_prepared, claims
        try:
            yield
        finally:
            self.being_prepared = before

    def to_blame(self) -> Sequence[Claim]:
        """What silence would be the fault of; nothing while only the store or a model is waited for."""
        return tuple(self.suspects or self.being_prepared)


class Watchdog(threading.Thread):
    """Calls `on_hang` once, with the suspects, when a working pulse was silent for `hang_s` seconds."""

    def __init__(self, pulse: Pulse, hang_s: float, on_hang: Callable[[Sequence[Claim]], None]) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._pulse, self._hang_s, self._on_hang = pulse, hang_s, on_hang
        self._is_ended = threading.Event()

    def end(self) -> None:
        self._is_ended.set()

    def run(self) -> None:
        poll_s = min(_POLL_S, self._hang_s / 10)
        num_seen, silent_s, looked_at = -1, 0.0, time.monotonic()
        while not self._is_ended.wait(poll_s):
            # Time in which this thread did not run either (frozen, a sleeping laptop) is no silence.
            now = time.monotonic()
            passed_s, looked_at = min(now - looked_at, 2 * poll_s), now
            if self._pulse.num_beats != num_seen or not self._pulse.patience:
                num_seen, silent_s = self._pulse.num_beats, 0.0
                continue
            silent_s += passed_s
            if silent_s >= self._allowed_s():
                self._on_hang(self._pulse.to_blame())
                return

    def _allowed_s(self) -> float:
        """A shard that lost an attempt before has less time: the one that hangs is found out by halves."""
        allowed_s = self._hang_s * self._pulse.patience
        if any(claim.is_suspect for claim in self._pulse.to_blame()):
            return min(allowed_s, max(SUSPECT_S, self._hang_s / 5))
        return allowed_s

"""Notices a process that no longer scores: a pulse beats between batches, and a watchdog counts its silence.

It does not matter how long a shard or a drain takes, only that batches are finished. Knows no store.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rankmill.db.records.shards import Claim

_POLL_S = 5.0
SUSPECT_S = 60.0


class Pulse:
    """The sign of life of a process's drain. Plain attributes, because a beat must cost nothing."""

    def __init__(self) -> None:
        self.num_beats = 0
        self.allowance = 0.0
        """How many times the usual silence is allowed now; 0 while there is nothing to do."""
        self.suspects: Sequence[Claim] = ()
        """What is being scored, and is to blame if no batch of it is ever finished."""
        self.being_prepared: Sequence[Claim] = ()
        """What is being prepared for scoring, and is to blame if nothing is being scored."""

    def beat(self) -> None:
        self.num_beats += 1

    @contextmanager
    def working(self, allowance: float = 1.0) -> Iterator[None]:
        """While this lasts there must be beats."""
        self.beat()
        before, self.allowance = self.allowance, allowance
        try:
            yield
        finally:
            self.beat()
            self.allowance = before

    @contextmanager
    def scoring(self, claims: Sequence[Claim]) -> Iterator[None]:
        """While this lasts, `claims` are to blame for a silence."""
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
            # Time in which this thread did not run either (a process frozen, a laptop asleep) does not count.
            now = time.monotonic()
            passed_s, looked_at = min(now - looked_at, 2 * poll_s), now
            if self._pulse.num_beats != num_seen or not self._pulse.allowance:
                num_seen, silent_s = self._pulse.num_beats, 0.0
                continue
            silent_s += passed_s
            if silent_s >= self._allowed_s():
                self._on_hang(self._pulse.to_blame())
                return

    def _allowed_s(self) -> float:
        """The silence allowed now; less for a suspect, as finding the pair that hangs takes several hangs."""
        allowed_s = self._hang_s * self._pulse.allowance
        if any(claim.is_suspect for claim in self._pulse.to_blame()):
            return min(allowed_s, max(SUSPECT_S, self._hang_s / 5))
        return allowed_s

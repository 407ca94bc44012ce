"""How the process that scores learns that it should stop: a flag that a signal sets.

The worker's parent sends `CHILD_SIGNAL` to its pool process; once means softly, twice means at once.
Knows nothing of what is being stopped.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from worker.errors import Stopped

CHILD_SIGNAL = signal.SIGUSR2  # neither Celery nor billiard use it in a prefork child; SIGUSR1 is their own
_POLL_S = 0.05

log = logging.getLogger("rankmill.worker")


class Stop:
    """Asked to stop or not. Plain attributes only: a lock here could deadlock with the signal handler."""

    def __init__(self) -> None:
        self.num_asked = 0
        self._is_droppable = False

    def __call__(self) -> bool:
        return self.num_asked > 0

    def ask(self) -> None:
        self.num_asked += 1

    def pause(self, seconds: float) -> None:
        """Waits, and ends early when asked to stop."""
        deadline = time.monotonic() + seconds
        while not self() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_S))

    @contextmanager
    def droppable(self) -> Iterator[None]:
        """Marks model work in the main thread that a second request to stop ends by raising Stopped."""
        if self.num_asked > 1:
            raise Stopped
        self._is_droppable = True
        try:
            yield
        finally:
            self._is_droppable = False

    def listen(self) -> None:
        """Lets `CHILD_SIGNAL` ask this flag. Does nothing outside the main thread."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(CHILD_SIGNAL, self._heard)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.ask()
        if self.num_asked > 1 and self._is_droppable:
            self._is_droppable = False
            raise Stopped


def tell(pid: int) -> None:
    """Asks the pool process `pid` to stop."""
    try:
        os.kill(pid, CHILD_SIGNAL)
    except OSError as error:
        log.warning("child_not_told", extra={"fields": {"pid": pid, "reason": error.strerror}})

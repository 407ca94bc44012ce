"""How the process that scores learns that it should stop: a flag that a signal sets.

The worker's parent sends `CHILD_SIGNAL` to its pool process. Knows nothing of what is being stopped.
"""

import logging
import os
import signal
import threading
import time
from types import FrameType

CHILD_SIGNAL = signal.SIGUSR2  # neither Celery nor billiard use it in a prefork child; SIGUSR1 is their own
_POLL_S = 0.05

log = logging.getLogger("rankmill.worker")


class Stop:
    """Asked to stop or not. A plain attribute: a lock here could deadlock with the signal handler."""

    def __init__(self) -> None:
        self._is_asked = False

    def __call__(self) -> bool:
        return self._is_asked

    def ask(self) -> None:
        """Once or more often, it is the same."""
        self._is_asked = True

    def pause(self, seconds: float) -> None:
        """Waits, and ends early when asked to stop."""
        deadline = time.monotonic() + seconds
        while not self() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_S))

    def listen(self) -> None:
        """Lets `CHILD_SIGNAL` ask this flag. Does nothing outside the main thread."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(CHILD_SIGNAL, self._heard)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.ask()


def ignore_until_heard() -> None:
    """Lets new processes ignore `CHILD_SIGNAL` until they listen; by default it would end them."""
    signal.signal(CHILD_SIGNAL, signal.SIG_IGN)


def ask_to_stop(pid: int, number: signal.Signals = CHILD_SIGNAL) -> None:
    """Asks the pool process `pid` to stop; one that is gone has done so."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        log.debug("child_gone", extra={"fields": {"pid": pid}})

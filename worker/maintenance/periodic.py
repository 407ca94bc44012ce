"""A thread that does something at once and then every so many seconds, and that no error ends.

Knows nothing of what it does.
"""

import logging
import random
import threading
import time

from rankmill.db.errors import StoreError
from rankmill.db.runtime.log_events import reason_of

_POLL_S = 0.2

log = logging.getLogger("rankmill.worker")


class Periodic(threading.Thread):
    """A round at once, then one about every `every_s` seconds. `failure` is the event of a failed round."""

    def __init__(self, name: str, every_s: float, failure: str) -> None:
        super().__init__(name=name, daemon=True)
        self._every_s, self._failure = every_s, failure
        self._is_ended = False

    def round(self) -> None:
        """Does what is due. May raise StoreError."""
        raise NotImplementedError

    def end(self) -> None:
        """Starts no further round. Safe in a signal handler: it takes no lock."""
        self._is_ended = True

    def run(self) -> None:
        while not self._is_ended:
            try:
                self.round()
            except StoreError as error:
                log.warning(self._failure, extra={"fields": {"reason": reason_of(error)}})
            except Exception as error:
                log.exception(self._failure, extra={"fields": {"reason": reason_of(error)}})
            self._pause(self._every_s * random.uniform(0.8, 1.2))  # noqa: S311  (spreads rounds)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._is_ended and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, _POLL_S))

"""Tries again what the store refused for now: exponential pauses with jitter, until a deadline.

Knows which store errors pass by themselves; knows none of the store's verbs.
"""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from rankmill.db.errors import StoreBusy, StoreUnavailable
from rankmill.db.runtime.log_events import reason_of
from rankmill.worker.health.stop import Stop

FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0
LAST_CHANCE_S = 5.0

PASSING = (StoreBusy, StoreUnavailable)
"""What is worth trying again."""

log = logging.getLogger("rankmill.worker")

T = TypeVar("T")


def retry_store(
    verb: str,
    call: Callable[[], T],
    *,
    until: Callable[[], float],
    stop: Stop,
    on_wait: Callable[[], None] = lambda: None,
) -> T:
    """What `call` returns, tried again while the store is busy or away.

    `until` gives the monotonic time after which trying is useless; it may change while this waits. After a
    stop only `LAST_CHANCE_S` seconds are left. Then the last StoreBusy or StoreUnavailable is raised.
    """
    pause_s, stop_by = FIRST_PAUSE_S, float("inf")
    while True:
        try:
            return call()
        except PASSING as error:
            if stop():
                stop_by = min(stop_by, time.monotonic() + LAST_CHANCE_S)
            jittered_s = pause_s * random.uniform(0.5, 1.0)  # noqa: S311  (spreads retries, guards nothing)
            fields = {"verb": verb, "pause_s": jittered_s, "reason": reason_of(error)}
            if time.monotonic() + jittered_s > min(until(), stop_by):
                log.error("store_given_up", extra={"fields": fields})
                raise
            log.warning("store_retry", extra={"fields": fields})
            on_wait()
            if stop():
                time.sleep(jittered_s)
            else:
                stop.pause(jittered_s)
            pause_s = min(pause_s * 2, MAX_PAUSE_S)

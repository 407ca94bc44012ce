"""Waiting for a condition with a deadline, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_S = 0.02


def wait_until(condition: Callable[[], T], timeout_s: float, what: str) -> T:
    """Asks `condition` again and again until what it gives is true, and returns that.

    Fails the test with `what` when `timeout_s` has passed.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s for {what}; last seen: {found!r}")
        time.sleep(PAUSE_S)

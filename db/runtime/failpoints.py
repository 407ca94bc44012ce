"""Points where a test may end, stop or fail this process, such as between a statement and its commit.

For tests only. Unless the variable RANKMILL_FAILPOINTS is set, `reach` does nothing. It holds entries,
separated by semicolons: `point:action` or `point:action:nth` acts when this process reaches the point for the
nth time (1 by default). With `:once=PATH` at its end it acts only if no process has made the file PATH yet.
`point:wait:nth:until=PATH` holds up the thread that reached the point until the file PATH is made.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

VARIABLE = "RANKMILL_FAILPOINTS"
EXIT_CODE = 70

Point = Literal[
    "before_record_commit",
    "after_record_commit",
    "before_doorbell",
    "before_claim_commit",
    "after_claim_commit",
    "after_load",
    "after_forward",
    "before_landing_commit",
    "after_landing_commit",
    "before_ack",
    "during_heartbeat",
    "before_publication_commit",
    "after_publication_commit",
    "after_receiver_accepted",
    "before_cursor_commit",
    "after_cursor_commit",
    "after_notice_sent",
    "before_sync_commit",
]
POINTS: tuple[str, ...] = get_args(Point)


class FailpointReached(Exception):
    """Raised by the action `raise`."""


class Plan(NamedTuple):
    """What happens at one point, and when."""

    act: Callable[[], None]
    nth: int
    once: Path | None


def reach(point: Point) -> None:
    """Says that this process is at `point` now, and does what was planned for that."""
    if _plans and (plan := _plans.get(point)) is not None:
        with _counting:
            _num_reached[point] = _num_reached.get(point, 0) + 1
            is_due = _num_reached[point] == plan.nth
        if is_due and (plan.once is None or _is_first(plan.once)):
            plan.act()


def plans_from(text: str) -> Mapping[str, Plan]:
    """The plans in the variable's text. Raises ValueError for an entry that is not one."""
    return dict(map(_plan_from, filter(None, map(str.strip, text.split(";")))))


def _plan_from(entry: str) -> tuple[str, Plan]:
    what, _, once = entry.partition(":once=")
    what, _, until = what.partition(":until=")
    point, action, *nth = what.split(":")
    actions = {"wait": _wait_for(Path(until))} if until else ACTIONS
    if point not in POINTS or action not in actions or len(nth) > 1:
        raise ValueError(
            f"{VARIABLE}: {entry!r} names no point of {POINTS}, or no action of {tuple(actions)}"
        )
    return point, Plan(actions[action], int(nth[0]) if nth else 1, Path(once) if once else None)


def _is_first(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _wait_for(path: Path) -> Callable[[], None]:
    def wait() -> None:
        while not path.exists():
            time.sleep(0.01)

    return wait


def _signal_self(number: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def _raise() -> None:
    raise FailpointReached("a failpoint was reached")


def _hang() -> None:
    while True:
        time.sleep(3600)


ACTIONS: Mapping[str, Callable[[], None]] = {
    "kill": _signal_self(signal.SIGKILL),
    "stop": _signal_self(signal.SIGSTOP),
    "exit": lambda: os._exit(EXIT_CODE),
    "raise": _raise,
    "hang": _hang,
}

_plans = plans_from(os.environ.get(VARIABLE, ""))
_num_reached: dict[str, int] = {}
_counting = threading.Lock()

"""Watches another process and says when it is gone, so that nothing outlives what it belongs to.

Linux kills pool children with their parent by itself; other systems and farther relations need this.
"""

import os
import threading
import time
from collections.abc import Callable

_POLL_S = 0.5


def watch(pid: int, on_gone: Callable[[], None]) -> None:
    """Calls `on_gone` once, from a daemon thread, when process `pid` no longer lives.

    A parent of ours is recognised by our getting another parent, so a reused pid does not mislead;
    for any other process its pid is all there is to go by.
    """
    is_gone = _is_other_parent if os.getppid() == pid else _is_unknown

    def look() -> None:
        while not is_gone(pid):
            time.sleep(_POLL_S)
        on_gone()

    threading.Thread(target=look, name=f"watch-{pid}", daemon=True).start()


def _is_other_parent(pid: int) -> bool:
    return os.getppid() != pid


def _is_unknown(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False

"""Watches another process and tells when it is gone, so that no process outlives the one it belongs to.

Linux ends pool children with their parent by itself. Other systems need this, and so do grandchildren.
"""

import os
import threading
import time
from collections.abc import Callable

_POLL_S = 0.5


def watch(pid: int, on_gone: Callable[[], None]) -> None:
    """Calls `on_gone` once, from a daemon thread, when process `pid` no longer lives.

    That our parent is gone shows in our having another parent, so a reused pid misleads nobody. Of any other
    process only its pid can be checked.
    """
    is_gone = _is_not_our_parent if os.getppid() == pid else _has_ended

    def look() -> None:
        while not is_gone(pid):
            time.sleep(_POLL_S)
        on_gone()

    threading.Thread(target=look, name=f"watch-{pid}", daemon=True).start()


def _is_not_our_parent(pid: int) -> bool:
    return os.getppid() != pid


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False

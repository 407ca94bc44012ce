"""Child processes that never outlive this one: started apart from the terminal, terminated, then killed.

Knows processes and signals; knows nothing of what the children do.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_STANDARD_ERROR = 2
_POLL_S = 0.05


def _die_with_parent() -> Callable[[], None] | None:
    """What the child runs before its program, so that the kernel kills it when its parent ends.

    Linux only. Elsewhere this process stops its children, or the next run does.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the call above
            os._exit(1)

    return bind


class Child:
    """A running child process in a session of its own, so that Ctrl-C in a terminal reaches only its parent.

    Start it from a thread that lives as long as the child should: the kernel ties it to that thread.
    """

    def __init__(self, command: Sequence[str], *, log: Path | None, environment: Mapping[str, str]) -> None:
        """Starts `command`. Its output is appended to `log`, or goes to standard error without one.

        Raises OSError when it cannot be started.
        """
        with contextlib.nullcontext(_STANDARD_ERROR) if log is None else log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; the negated signal when one killed it."""
        return self._process.poll()

    def stop(self, *, grace_s: float, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Terminates it, waits for `grace_s` seconds or until `is_enough()`, then kills its session."""
        if self.exit_code() is None:
            self._process.terminate()
            deadline = time.monotonic() + grace_s
            while self.exit_code() is None and time.monotonic() < deadline and not is_enough():
                time.sleep(_POLL_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):  # EPERM: only zombies left, on macOS
            os.killpg(self._process.pid, signal.SIGKILL)  # its session may hold children of its own
        self._process.wait()

    def log_tail(self, max_lines: int = 12) -> str:
        """The last lines of its log, for a person to read; empty without a log."""
        if self.log is None:
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 16_384))
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-max_lines:])

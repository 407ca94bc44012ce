"""Interruption: the first Ctrl-C or SIGTERM ends the work in order, the second one at once.

Knows signals; knows nothing of what is being interrupted.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """This process was asked to stop. Not an Exception, so that no handler of errors swallows it."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        super().__init__(signal.Signals(signum).name)


class Interruption:
    """As a context: the first signal raises Interrupted, later ones only make `is_urgent()` true.

    Only the main thread receives signals; in another thread this does nothing.
    """

    def __init__(self) -> None:
        self._num_signals = 0
        self._pending: int | None = None
        self._is_held = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in _SIGNALS:
                if signal.getsignal(signum) is not signal.SIG_IGN:  # nohup stays nohup
                    self._before[signum] = signal.signal(signum, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, before in self._before.items():
            signal.signal(signum, before)

    def is_urgent(self) -> bool:
        """Whether a second signal asked to hurry."""
        return self._num_signals > 1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Signals that come inside are raised at its end: for steps that must not be interrupted."""
        was_held, self._is_held = self._is_held, True
        try:
            yield
        finally:
            self._is_held = was_held
            if self._pending is not None and not was_held:
                signum, self._pending = self._pending, None
                raise Interrupted(signum)

    def _receive(self, signum: int, _frame: FrameType | None) -> None:
        self._num_signals += 1
        if self._num_signals > 1:
            return
        if self._is_held:
            self._pending = signum
        else:
            raise Interrupted(signum)

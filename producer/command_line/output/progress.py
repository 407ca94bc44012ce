"""Progress on standard error, for a terminal or for a log file. Knows no store, only the rows it is shown."""

import threading
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from rankmill.producer.command_line.output.wording import progress_sentence
from rankmill.producer.running.progress import ProgressSnapshot, num_ended

LINE_EVERY_S = 10.0


class SlowStep:
    """Prints what is being done once it has taken `after_s` seconds."""

    def __init__(self, console: Console, text: str, after_s: float = 2.0) -> None:
        self._timer = threading.Timer(after_s, console.print, [text])
        self._timer.daemon = True
        self._timer.start()

    def done(self) -> None:
        self._timer.cancel()


class ProgressDisplay(Protocol):
    """Shows a run's progress."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, snapshot: ProgressSnapshot, note: str = "") -> None: ...


class ProgressLines:
    """Lines for a log: the first, one every ten seconds, the last."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[float, ProgressSnapshot, str] | None = None
        self._printed: str | None = None
        self._next_at = 0.0

    def show(self, snapshot: ProgressSnapshot, note: str = "") -> None:
        self._last = (time.monotonic(), snapshot, note)
        if self._last[0] >= self._next_at:
            self._print(snapshot, note)

    def _print(self, snapshot: ProgressSnapshot, note: str) -> None:
        self._next_at = time.monotonic() + LINE_EVERY_S
        line = progress_sentence(snapshot, note)
        if line != self._printed:
            self._console.print(line)
            self._printed = line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._last is not None:
            self._print(self._last[1], self._last[2])


class ProgressBar:
    """A progress bar for a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=False,
        )
        self._task: TaskID | None = None

    def show(self, snapshot: ProgressSnapshot, note: str = "") -> None:
        row = snapshot.progress
        if self._task is None:
            self._task = self._progress.add_task("", total=row.num_pairs)
        self._progress.update(
            self._task,
            completed=num_ended(row),
            total=row.num_pairs,
            description=progress_sentence(snapshot, note),
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def progress_display(console: Console) -> ProgressDisplay:
    return ProgressBar(console) if console.is_terminal else ProgressLines(console)

"""The screen: progress and words on standard error, for a terminal or for a log file.

Knows how numbers are written for people; knows no store and no job but the rows it is shown.
"""

import threading
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from producer.watching import Moment, num_ended

LINE_EVERY_S = 10.0


def diagnostics() -> Console:
    """Standard error for people: no markup from strangers' text, no colour unless it is a terminal."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Seconds for people: 0.4 s, 12 s, 3 min 5 s, 2 h 4 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def local_time(seconds: float) -> str:
    """A time since the epoch for people, by this machine's clock and zone: 2026-03-01 02:00."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 shard, 2 shards."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def rate(per_s: float | None) -> str:
    """A rate with as many digits as it deserves."""
    if per_s is None:
        return "–"
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.2g}"


def sentence(moment: Moment, note: str = "") -> str:
    """A job's progress in one line."""
    row = moment.progress
    share = num_ended(row) / row.num_pairs if row.num_pairs else 1.0
    parts = [f"{num_ended(row):,} of {row.num_pairs:,} pairs ({share:.0%})"]
    if moment.pairs_per_s is not None:
        parts.append(f"{rate(moment.pairs_per_s)} pairs/s, {rate(moment.tokens_per_s)} tokens/s")
    if row.paused_at is not None:
        parts.append(f"paused until rankmill resume {row.job_id}")
    elif moment.left_s is not None and num_ended(row) < row.num_pairs:
        parts.append(f"{duration(moment.left_s)} left")
    if row.num_reused:
        parts.append(f"{row.num_reused:,} reused")
    if row.num_failed:
        parts.append(f"{row.num_failed:,} failed")
    if note:
        parts.append(note)
    return ", ".join(parts)


class SlowStep:
    """Says what is being done, once it has taken so long that a person wonders."""

    def __init__(self, console: Console, words: str, after_s: float = 2.0) -> None:
        self._timer = threading.Timer(after_s, console.print, [words])
        self._timer.daemon = True
        self._timer.start()

    def done(self) -> None:
        self._timer.cancel()


class ProgressDisplay(Protocol):
    """Where a run's progress goes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, moment: Moment, note: str = "") -> None: ...


class ProgressLines:
    """A line now and then, for logs: the first, one every ten seconds, the last."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[float, Moment, str] | None = None
        self._printed: str | None = None
        self._next_at = 0.0

    def show(self, moment: Moment, note: str = "") -> None:
        self._last = (time.monotonic(), moment, note)
        if self._last[0] >= self._next_at:
            self._print(moment, note)

    def _print(self, moment: Moment, note: str) -> None:
        self._next_at = time.monotonic() + LINE_EVERY_S
        line = sentence(moment, note)
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
    """A bar that moves, for a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=False,
        )
        self._task: TaskID | None = None

    def show(self, moment: Moment, note: str = "") -> None:
        row = moment.progress
        if self._task is None:
            self._task = self._progress.add_task("", total=row.num_pairs)
        self._progress.update(
            self._task, completed=num_ended(row), total=row.num_pairs, description=sentence(moment, note)
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

"""How far a job is, how fast it goes and how long it will still take.

Knows the progress row in the store; knows no terminal and no worker.
"""

import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from rankmill.db.errors import StoreBusy, StoreUnavailable
from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobProgress, JobState
from rankmill.db.store.store import Store

_PACE_WINDOW_S = 30.0
_PACE_MIN_STEPS = 5
STORE_PATIENCE_S = 60.0


class ProgressSnapshot(NamedTuple):
    """A job's progress at one moment. Rates are per second over the last half minute or so, None at first."""

    progress: JobProgress
    pairs_per_s: float | None
    tokens_per_s: float | None
    left_s: float | None


def num_ended(row: JobProgress) -> int:
    """The number of pairs that need no more work: reused, scored or failed."""
    return row.num_reused + row.num_scored + row.num_failed


def average_pace(row: JobProgress) -> float | None:
    """Pairs scored per second from the job's submission to its end, or to now."""
    duration_s = (row.finished_at or row.now) - row.created_at
    return row.num_scored / duration_s if row.num_scored and duration_s > 0 else None


class Pace:
    """Rates by the store's clock over a sliding window that holds several landings."""

    def __init__(self) -> None:
        self._steps: deque[JobProgress] = deque()  # the first row seen of each count

    def add(self, row: JobProgress) -> ProgressSnapshot:
        steps = self._steps
        if not steps or num_ended(row) > num_ended(steps[-1]):
            steps.append(row)
        while len(steps) > _PACE_MIN_STEPS and row.now - steps[1].now > _PACE_WINDOW_S:
            steps.popleft()
        first = steps[0]
        duration_s, num_pairs = row.now - first.now, num_ended(row) - num_ended(first)
        if duration_s <= 0 or num_pairs <= 0:
            return ProgressSnapshot(row, None, None, None)
        pairs_per_s = num_pairs / duration_s
        tokens_per_s = (row.num_scored_tokens - first.num_scored_tokens) / duration_s
        # By tokens, not pairs: a pair with a long document takes longer.
        closed_per_s = (first.num_open_tokens - row.num_open_tokens) / duration_s
        left_s = row.num_open_tokens / closed_per_s if closed_per_s > 0 else None
        return ProgressSnapshot(row, pairs_per_s, tokens_per_s, left_s)


def follow_progress(store: Store, job_id: int, *, every_s: float = 1.0) -> Iterator[ProgressSnapshot]:
    """Yields the job's progress at once, then every `every_s` seconds (more often at first), until it ended.

    Waits for a store that is busy or unavailable, for a minute at most. Raises UnknownJob, StoreBusy,
    StoreUnavailable.
    """
    pace, pause_s = Pace(), min(0.05, every_s)
    while True:
        snapshot = pace.add(_patient_progress(store, job_id))
        yield snapshot
        if snapshot.progress.state is not JobState.ACTIVE:
            return
        time.sleep(pause_s)
        pause_s = min(every_s, pause_s * 1.5)


def _patient_progress(store: Store, job_id: int) -> JobProgress:
    deadline = time.monotonic() + STORE_PATIENCE_S
    while True:
        try:
            return job_progress(store, job_id)
        except (StoreBusy, StoreUnavailable):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)

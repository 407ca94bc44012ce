"""Sees that a job is scored: by workers behind its broker while there are any, else by a local one.

Learns from the store which workers are alive; knows no output and no inputs.
"""

import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from rankmill.db.errors import StoreBusy, StoreUnavailable
from rankmill.db.maintenance.disk_space import note_watched
from rankmill.db.queue.rescue import rescue_orphans
from rankmill.db.records.jobs import JobState
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.producer.broker.doorbell import Doorbell
from rankmill.producer.broker.workers import why_no_worker, workers_for
from rankmill.producer.errors import MissingPrerequisite
from rankmill.producer.processes.interruption import Interruption
from rankmill.producer.running.local_worker import LocalWorker, check_prerequisites
from rankmill.producer.running.progress import STORE_PATIENCE_S, ProgressSnapshot, num_ended

_LOOK_EVERY_S = 2.0


def has_live_worker(store: Store, settings: Settings, job_id: int | None = None) -> bool:
    """Whether a worker behind `--broker` takes jobs of this model and was seen within a lease."""
    silence_s = _silence_s(store, settings, job_id)
    return silence_s is not None and silence_s <= settings.lease_s


def _silence_s(store: Store, settings: Settings, job_id: int | None) -> float | None:
    """Seconds since a worker behind `--broker` that can score was last seen; None when none is known."""
    if settings.broker is None:
        return None
    able = workers_for(store, settings.model, broker=settings.broker, job_id=job_id)
    return min((row.now - row.last_seen_at for row in able if row.problem is None), default=None)


class JobSupervisor:
    """Supervises one job while its context is open; at the end it stops what it started.

    Raises MissingPrerequisite when no worker can score, RuntimeFailure when the local worker keeps dying, and
    StoreFull or StoreReadOnly when scores can no longer land.
    """

    def __init__(
        self, store: Store, settings: Settings, job_id: int, num_shards: int, interruption: Interruption
    ) -> None:
        self._store, self._settings, self._job_id = store, settings, job_id
        self._num_shards, self._interruption = num_shards, interruption
        self._open = ExitStack()
        self._local: LocalWorker | None = None
        self._note = ""
        self._looked_at = self._heard_at = float("-inf")
        self._refused_at: float | None = None

    def __enter__(self) -> Self:
        rescue_orphans(self._store, self._settings.max_attempts)
        if has_live_worker(self._store, self._settings, self._job_id):
            assert self._settings.broker is not None
            with Doorbell(self._settings.broker) as doorbell:
                doorbell.ring(self._settings.model, self._job_id, self._num_shards)
        else:
            self._start_local()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def note(self, snapshot: ProgressSnapshot) -> str:
        """Looks at the job's workers every two seconds; says in a few words what the job waits for."""
        if snapshot.progress.state is not JobState.ACTIVE:
            return ""
        if time.monotonic() - self._looked_at > _LOOK_EVERY_S:
            try:
                note_watched(self._store, self._job_id)
                self._note = self._look(snapshot)
                self._refused_at = None
            except (StoreBusy, StoreUnavailable):
                self._refused_at = self._refused_at or time.monotonic()
                if time.monotonic() - self._refused_at > STORE_PATIENCE_S:
                    raise
            self._looked_at = time.monotonic()
        return self._note

    def _look(self, snapshot: ProgressSnapshot) -> str:
        if self._local is not None:
            return self._supervise_local(self._local, snapshot)
        return self._watch_others(snapshot)

    def _watch_others(self, snapshot: ProgressSnapshot) -> str:
        """Watches workers behind the broker; if none was seen for a lease, a local one takes over."""
        silence_s = _silence_s(self._store, self._settings, self._job_id)
        if silence_s is not None:
            self._heard_at = max(self._heard_at, time.monotonic() - silence_s)
        if time.monotonic() - self._heard_at <= self._settings.lease_s:
            return why_no_worker(self._store, self._settings.model, self._settings.broker, self._job_id)
        self._start_local()
        assert self._local is not None
        return self._supervise_local(self._local, snapshot)

    def _supervise_local(self, worker: LocalWorker, snapshot: ProgressSnapshot) -> str:
        try:
            worker.keep_alive(num_ended(snapshot.progress))
        except MissingPrerequisite as missing:
            raise self._with_remedy(missing) from missing
        if rescue_orphans(self._store, self._settings.max_attempts).num_returned:
            worker.ring()
        return worker.problem() or ("" if snapshot.pairs_per_s is not None else worker.note())

    def _start_local(self) -> None:
        try:
            check_prerequisites(self._settings)
            with self._interruption.held():  # nothing else would stop what it started
                self._local = self._open.enter_context(
                    LocalWorker(self._store, self._settings, self._job_id, self._interruption)
                )
        except MissingPrerequisite as missing:
            raise self._with_remedy(missing) from missing

    def _with_remedy(self, missing: MissingPrerequisite) -> MissingPrerequisite:
        return MissingPrerequisite(
            f"{missing} Job {self._job_id} waits: fix that and run the same command again, "
            f"or cancel it with rankmill cancel {self._job_id}."
        )

"""Sees to it that somebody scores a job: workers behind its broker while there are any, else a local one.

Knows who is alive by the store; knows no output and no inputs.
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
from rankmill.producer.broker.workers import able_workers, absence
from rankmill.producer.errors import MissingPrerequisite
from rankmill.producer.processes.interruption import Interruption
from rankmill.producer.running.local_worker import LocalWorker, check_prerequisites
from rankmill.producer.running.progress import STORE_PATIENCE_S, Moment, num_ended

_LOOK_EVERY_S = 2.0


def has_live_worker(store: Store, settings: Settings, job_id: int | None = None) -> bool:
    """Whether `--broker` leads to a worker that takes this model's jobs and was heard of within a lease."""
    silence_s = _silence_s(store, settings, job_id)
    return silence_s is not None and silence_s <= settings.lease_s


def _silence_s(store: Store, settings: Settings, job_id: int | None) -> float | None:
    """Seconds since the last sign of a worker behind `--broker` that can score; None when none is known."""
    if settings.broker is None:
        return None
    able = able_workers(store, settings.model, broker=settings.broker, job_id=job_id)
    return min((row.now - row.last_seen_at for row in able if row.problem is None), default=None)


class JobSupervisor:
    """Looks after one job until its context ends, and stops what it started then.

    Raises MissingPrerequisite when nobody can score, RuntimeFailure when a worker of our own keeps dying, and
    StoreFull or StoreReadOnly when scores can no longer land.
    """

    def __init__(
        self, store: Store, settings: Settings, job_id: int, num_shards: int, interruption: Interruption
    ) -> None:
        self._store, self._settings, self._job_id = store, settings, job_id
        self._num_shards, self._interruption = num_shards, interruption
        self._open = ExitStack()
        self._own: LocalWorker | None = None
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
            self._start_own()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def note(self, moment: Moment) -> str:
        """Looks after the job's workers every two seconds; says in a few words what keeps it waiting."""
        if moment.progress.state is not JobState.ACTIVE:
            return ""
        if time.monotonic() - self._looked_at > _LOOK_EVERY_S:
            try:
                note_watched(self._store, self._job_id)
                self._note = self._look(moment) if self._own is None else self._look_after(self._own, moment)
                self._refused_at = None
            except (StoreBusy, StoreUnavailable):
                self._refused_at = self._refused_at or time.monotonic()
                if time.monotonic() - self._refused_at > STORE_PATIENCE_S:
                    raise
            self._looked_at = time.monotonic()
        return self._note

    def _look(self, moment: Moment) -> str:
        """Somebody else's workers: when none of them was heard of for a lease, one of our own steps in."""
        silence_s = _silence_s(self._store, self._settings, self._job_id)
        if silence_s is not None:
            self._heard_at = max(self._heard_at, time.monotonic() - silence_s)
        if time.monotonic() - self._heard_at <= self._settings.lease_s:
            return absence(self._store, self._settings.model, self._settings.broker, self._job_id)
        self._start_own()
        assert self._own is not None
        return self._look_after(self._own, moment)

    def _look_after(self, own: LocalWorker, moment: Moment) -> str:
        try:
            own.keep_alive(num_ended(moment.progress))
        except MissingPrerequisite as missing:
            raise self._with_remedy(missing) from missing
        if rescue_orphans(self._store, self._settings.max_attempts).num_returned:
            own.ring()
        return own.problem() or ("" if moment.pairs_per_s is not None else own.note())

    def _start_own(self) -> None:
        try:
            check_prerequisites(self._settings)
            with self._interruption.held():  # nobody else would stop what it started
                self._own = self._open.enter_context(
                    LocalWorker(self._store, self._settings, self._job_id, self._interruption)
                )
        except MissingPrerequisite as missing:
            raise self._with_remedy(missing) from missing

    def _with_remedy(self, missing: MissingPrerequisite) -> MissingPrerequisite:
        return MissingPrerequisite(
            f"{missing} Job {self._job_id} waits: mend that and run the same command again, "
            f"or give it up with rankmill cancel {self._job_id}."
        )

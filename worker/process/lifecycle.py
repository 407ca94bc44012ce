"""What happens around the task: how worker and pool process begin, are told to stop, and leave.

Knows Celery's signals. The parent process checks prerequisites, runs rescue rounds and passes a stop on;
the pool's child process scores.
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
from rankmill.worker.health.crash_loop import CrashLoop
from rankmill.worker.health.stop import CHILD_SIGNAL, spare_newborns, tell_stop
from rankmill.worker.maintenance.clauses import ClauseRounds
from rankmill.worker.maintenance.follow_up import FollowUpRounds
from rankmill.worker.maintenance.rescue import RescueRounds
from rankmill.worker.process import prerequisites, state
from rankmill.worker.process.log_file import leave_log_to_the_child, log_file, note_log_file, set_up_log

PARENT_PID_VARIABLE = "RANKMILL_PARENT_PID"
EXIT_GIVEN_UP = 4
_COLD_STOP_S = 20.0
_TELL_EVERY_S = 0.25
_MAX_LAST_LOOKS = 10  # a tenth of a second each

log = logging.getLogger("rankmill.worker")

_worker: Any = None
_store: Store | None = None
_rounds: RescueRounds | None = None
_follow_up: FollowUpRounds | None = None
_clauses: ClauseRounds | None = None
_crash_loop: CrashLoop | None = None
_num_stops = 0


def connect() -> None:
    """Connects this module to Celery's signals, in whichever process imports the task."""
    signals.setup_logging.connect(_set_up_logging, weak=False)
    signals.celeryd_init.connect(_begin_worker, weak=False)
    signals.celeryd_after_setup.connect(leave_log_to_the_child, weak=False)
    signals.worker_ready.connect(_begin_rescue_rounds, weak=False)
    signals.worker_shutting_down.connect(_pass_stop_on, weak=False)
    signals.worker_process_init.connect(_begin_child, weak=False)
    signals.worker_process_shutdown.connect(_leave_child, weak=False)


def _set_up_logging(**_: Any) -> None:
    set_up_log(settings)


def _begin_worker(instance: Any, options: dict[str, Any], **_: Any) -> None:
    """In the parent, before anything is started. Exits with code 3 when something is missing."""
    global _worker, _store
    _worker = instance
    note_log_file(options.get("logfile"), instance.hostname)
    if instance.hostname.startswith("celery@"):
        instance.hostname = unique_node_name()
    spare_newborns()
    warnings.filterwarnings("ignore", message="You're running the worker with superuser")
    set_up_log(settings)
    try:
        prerequisites.check_broker(app, settings)
        _store = prerequisites.open_worker_store(settings)
    except (prerequisites.MissingPrerequisite, StoreError) as error:
        if settings.log_format == "json" or log_file():
            log.critical("prerequisite_missing", extra={"fields": {"problem": str(error)}})
        else:
            print(error, file=sys.stderr)  # noqa: T201  (for a person at a terminal, not for a log)
        sys.exit(prerequisites.EXIT_MISSING_PREREQUISITE)
    if parent_pid := os.environ.get(PARENT_PID_VARIABLE):
        parent_watch.watch(int(parent_pid), lambda: _parent_gone(int(parent_pid)))


def _parent_gone(pid: int) -> None:
    log.warning("parent_gone", extra={"fields": {"pid": pid}})
    os.kill(os.getpid(), signal.SIGTERM)


def _begin_rescue_rounds(**_: Any) -> None:
    global _rounds, _follow_up, _clauses, _crash_loop
    assert _store is not None, "bug: worker_ready came before celeryd_init"
    queue = app.conf.task_default_queue
    fields = {"pid": os.getpid(), "queue": queue, "store": _store.safe_url}
    log.info("worker_ready", extra={"fields": fields})
    _rounds = RescueRounds(
        _store,
        Doorbell(app, queue),
        model=model,
        job_id=settings.job,
        rescue_s=settings.rescue_s,
        max_attempts=settings.max_attempts,
    )
    _rounds.start()
    if settings.job is None:  # one that works for a run leaves the end of its job to that
        _follow_up = FollowUpRounds(_store, settings)
        _follow_up.start()
        _clauses = ClauseRounds(_store, settings, model)
        _clauses.start()
    _crash_loop = CrashLoop(_store, _children, _give_up)
    _crash_loop.start()


def _give_up(problem: str) -> None:
    """Ends this worker and its child, with the problem as its last words. The work waits in the store."""
    log.critical("given_up", extra={"fields": {"problem": problem}})
    if settings.log_format == "json" or log_file():
        atexit.register(log.critical, "prerequisite_missing", extra={"fields": {"problem": problem}})
    else:
        atexit.register(print, problem, file=sys.stderr, flush=True)
    if _rounds is not None:
        _rounds.end()
    _worker.exitcode = EXIT_GIVEN_UP
    celery_state.should_terminate = True
    time.sleep(_COLD_STOP_S)  # a broker that does not answer may keep Celery from ending
    print(problem, file=sys.stderr, flush=True)  # noqa: T201
    os._exit(EXIT_GIVEN_UP)


def _pass_stop_on(sig: str, **_: Any) -> None:
    """In the parent's signal handler: takes no lock. The pool waits for its child, which now hurries.

    A second signal ends the child as billiard would: its claims are released, its batch is dropped.
    """
    global _num_stops
    _num_stops += 1
    if _num_stops == 1:
        threading.Thread(target=_keep_telling, name="stop", daemon=True).start()
    else:
        _tell_children(signal.SIGTERM)
    if _rounds is not None:
        _rounds.end()
    if _follow_up is not None:
        _follow_up.end()
    if _clauses is not None:
        _clauses.end()
    if _crash_loop is not None:
        _crash_loop.end()
    event = "stop_asked" if _num_stops == 1 else "stop_hurried"
    log.warning(event, extra={"fields": {"signal": sig}})


def _keep_telling() -> None:
    """Again and again: a child that is just starting does not listen yet, and may have a task waiting."""
    while True:
        _tell_children(CHILD_SIGNAL)
        time.sleep(_TELL_EVERY_S)


def _tell_children(number: signal.Signals) -> None:
    for pid in _children():
        tell_stop(pid, number)


def _children() -> list[int]:
    pool = getattr(_worker, "pool", None)
    if pool is None or pool._pool is None:  # a cold shutdown has ended it already
        return []
    return list(pool.info["processes"])


def _begin_child(**_: Any) -> None:
    # A child that leaves waits up to 30 s for its parent to read its last result, which a parent that is
    # stopping may never do. Nothing hangs on it: what was scored has landed.
    billiard_pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = _MAX_LAST_LOOKS
    state.stop.listen()
    parent_pid = os.getppid()
    # Linux kills us with our parent; elsewhere we must notice by ourselves, also in the middle of a batch.
    parent_watch.watch(parent_pid, lambda: os._exit(1))
    try:
        state.current(settings, model)
    except StoreError as error:
        log.warning("heartbeat_failed", extra={"fields": {"reason": reason_of(error)}})


def _leave_child(**_: Any) -> None:
    state.leave()

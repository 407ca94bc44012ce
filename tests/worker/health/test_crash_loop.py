"""A scoring process that always dies before it has scored makes its worker give up, with a clear sentence."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rankmill.db.queue.workers import has_landed, note_landing, register
from rankmill.db.runtime.process_identity import identity_of, is_alive
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.worker.health.crash_loop import MAX_CRASHES, CrashLoopWatch
from tests.support.jobs.drains import desk, states
from tests.support.jobs.small_jobs import submit
from tests.support.processes.rankmill_command import Rankmill, write_inputs
from tests.support.processes.worker_process import WorkerProcess

SOON_S = 120.0

KILLS_WHOEVER_LOADS = """
import importlib.abc, os, signal, sys

class Killer(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "rankmill.worker.scorer.null_scorer":
            os.kill(os.getpid(), signal.SIGKILL)

sys.meta_path.insert(0, Killer())
"""


@pytest.fixture
def deadly_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads the null model dies as of the system's out-of-memory killer."""
    (tmp_path / "sitecustomize.py").write_text(KILLS_WHOEVER_LOADS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.usefixtures("deadly_model")
def test_a_worker_whose_child_dies_while_loading_gives_up(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    with open_store(sqlite_url) as store:
        submit(store)
        worker = WorkerProcess(sqlite_url, redis_url, tmp_path / "log", rescue_s=0.5)
        assert worker.wait_until_ended(SOON_S) == 4
        last = worker.words().strip().splitlines()[-1]
        assert last.startswith(f"The scoring process of this worker ended {MAX_CRASHES} times in a row")
        assert "memory" in last
        assert states(store) == {"ready": 3}


@pytest.mark.usefixtures("deadly_model")
def test_a_run_whose_worker_gives_up_ends_with_its_words(tmp_path: Path) -> None:
    run = Rankmill(tmp_path)
    flags = write_inputs(tmp_path, num_documents=2, num_queries=1)
    ended = run("run", *flags, "--output", "out.jsonl", exit_code=4, PYTHONPATH=os.environ["PYTHONPATH"])
    assert f"ended {MAX_CRASHES} times in a row before it had scored anything" in ended.stderr


pids: list[int] = []


def dead_child(store: Store, watch: CrashLoopWatch, *, lands: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        pids.append(child.pid)
        watch.look()
        if lands:
            worker_id = register(store, "null")
            with store.writing() as connection:
                row = "UPDATE workers SET pid = ?, process_started = ? WHERE id = ?"
                started = identity_of(child.pid).started
                connection.exec_driver_sql(row, (child.pid, started, worker_id))
            note_landing(store, worker_id)
        child.send_signal(signal.SIGKILL)
        child.wait()
        pids.remove(child.pid)
    watch.look()


def test_a_process_that_had_scored_makes_up_for_those_before_it(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        watch = CrashLoopWatch(store, lambda: pids, lambda _: None)
        for lands in (False, False, True, False):
            dead_child(store, watch, lands=lands)
        assert watch._num_crashes == 1


def test_a_drain_that_lands_says_so_of_its_process(store: Store) -> None:
    submit(store)
    me = identity_of(os.getpid())
    assert is_alive(me)
    with desk(store) as worker:
        assert worker.leases.worker_id
        assert not has_landed(store, me)
        worker.drain()
        assert has_landed(store, me)

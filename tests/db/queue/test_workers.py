"""Workers as the store knows them, and processes told apart from others with their pid."""

import os
import subprocess
import sys

import pytest

from rankmill.db.queue.workers import describe, farewell, register, report_problem, workers
from rankmill.db.runtime.process_identity import (
    ProcessIdentity,
    is_alive,
    start_by_ps,
    start_of,
    this_machine,
    this_process,
)
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.jobs.store_rows import execute, rows, states


def test_a_registered_worker_is_seen_with_its_process(store: Store) -> None:
    worker_id = register(store, "demo")
    (seen,) = workers(store)
    assert (seen.worker_id, seen.pid, seen.model) == (worker_id, os.getpid(), "demo")
    assert (seen.device, seen.problem, seen.stopped_at) == (None, None, None)
    assert 0 <= seen.now - seen.started_at < 60


def test_a_worker_says_which_job_it_takes_only_and_where_it_listens(store: Store) -> None:
    register(store, "demo", only_job_id=7, broker_digest="b" * 64)
    (seen,) = workers(store)
    assert (seen.only_job_id, seen.broker_digest) == (7, "b" * 64)


def test_a_worker_says_what_it_runs_on_and_what_ails_it(store: Store) -> None:
    worker_id = register(store, "demo")
    describe(store, worker_id, "cpu, bfloat16")
    report_problem(store, worker_id, "no such model\0")
    (seen,) = workers(store)
    assert (seen.device, seen.problem) == ("cpu, bfloat16", "no such model\N{REPLACEMENT CHARACTER}")
    report_problem(store, worker_id, None)
    assert workers(store)[0].problem is None


def test_a_worker_that_leaves_releases_what_it_claimed(store: Store) -> None:
    submit(store)
    worker = StandIn(store)
    worker.claim(budget_tokens=10**9)
    assert farewell(store, worker.worker_id) == 3
    assert states(store) == ["ready"] * 3
    assert {row["num_releases"] for row in rows(store, "shards")} == {1}
    assert workers(store) == []
    (gone,) = workers(store, only_alive=False)
    assert gone.stopped_at is not None
    assert farewell(store, worker.worker_id) == 0


def test_a_worker_not_heard_of_for_long_is_not_shown_as_alive(store: Store) -> None:
    old, young = register(store, "demo"), register(store, "demo")
    execute(store, f"UPDATE workers SET last_seen_at = last_seen_at - 1000 WHERE id = {old}")
    assert [seen.worker_id for seen in workers(store)] == [young]
    assert [seen.worker_id for seen in workers(store, only_alive=False)] == [young, old]


def test_this_process_is_alive_and_known_by_pid_and_start() -> None:
    me = this_process()
    assert (me.pid, me.machine) == (os.getpid(), this_machine())
    assert me.started
    assert is_alive(me)


def test_a_process_that_ended_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = start_of(process.pid)
    assert started is not None
    identity = ProcessIdentity(machine=this_machine(), pid=process.pid, started=started)
    assert is_alive(identity)
    process.communicate(b"\n")
    assert not is_alive(identity)


def test_a_process_that_died_but_was_not_collected_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = ProcessIdentity(machine=this_machine(), pid=process.pid, started=start_of(process.pid) or "")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(identity)
    process.communicate()


def test_a_pid_used_again_is_another_process() -> None:
    me = this_process()
    assert not is_alive(ProcessIdentity(machine=me.machine, pid=me.pid, started="earlier"))


def test_of_another_machine_s_processes_nothing_is_known() -> None:
    assert is_alive(ProcessIdentity(machine="elsewhere", pid=2**30, started="whenever"))


@pytest.mark.skipif(not os.path.exists("/bin/ps"), reason="there is no ps here")  # noqa: PTH110
def test_where_there_is_no_proc_the_start_is_asked_of_ps() -> None:
    first, second = start_by_ps(os.getpid()), start_by_ps(os.getpid())
    assert first
    assert first == second
    assert start_by_ps(2**22 + 1) is None

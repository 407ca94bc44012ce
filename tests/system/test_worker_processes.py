"""Real workers, real Redis, both stores: killed, stopped, frozen, shared, and always the same end."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis
from celery import Celery
from celery.events import EventReceiver

from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.runtime.broker_protocol import queue_name
from rankmill.db.store.opening import open_store
from tests.support.inputs.models import make_model
from tests.support.jobs.drains import num_burned, states
from tests.support.jobs.long_jobs import (
    QUERIES,
    SHARDS_IN_HAND,
    SOON_S,
    assert_complete,
    half_way,
    is_done,
    pauses_at,
    ring,
    submit_long_job,
)
from tests.support.jobs.small_jobs import submit
from tests.support.jobs.store_rows import execute
from tests.support.processes.worker_process import WorkerProcess, worker_process
from tests.support.waiting import wait_until


def test_a_job_survives_kill_9_of_the_child_and_of_the_worker(
    store_url: str, redis_url: str, tmp_path: Path
) -> None:
    with open_store(store_url) as store:
        log, pauses = tmp_path / "worker.log", pauses_at(tmp_path / "never made")
        with worker_process(store_url, redis_url, log, rescue_s=0.5, failpoints=pauses) as worker:
            job_id = submit_long_job(store)
            with half_way(store, job_id):
                os.kill(worker.child_pid(), signal.SIGKILL)
            wait_until(lambda: worker.words().count("takes shards of") == 2, SOON_S, "another child")
            with half_way(store, job_id):
                everyone = worker.everyone()
                worker.kill()
            _, alive = psutil.wait_procs(everyone, timeout=10)
            assert alive == [], "something outlived the worker"
        with worker_process(store_url, redis_url, log, rescue_s=0.5) as worker:
            wait_until(is_done(store, job_id), SOON_S, "the job to be done")
            assert worker.stop() == 0
        assert_complete(store, job_id)
        assert num_burned(store) <= 2 * SHARDS_IN_HAND, "a kill costs no more than what was claimed"


@pytest.mark.parametrize("how", ["SIGTERM", "SIGTERM to the whole group", "SIGINT to the whole group"])
def test_a_stop_releases_what_is_claimed_and_burns_no_attempt(
    store_url: str, redis_url: str, tmp_path: Path, how: str
) -> None:
    if (how == "SIGTERM") == store_url.startswith("sqlite"):
        pytest.skip("signals are the same on both stores: to the group on SQLite, to the worker on the other")
    gate = tmp_path / "gate"
    with (
        open_store(store_url) as store,
        worker_process(store_url, redis_url, tmp_path / "log", failpoints=pauses_at(gate)) as worker,
    ):
        job_id = submit_long_job(store)
        ring(redis_url)
        with half_way(store, job_id):
            if how == "SIGTERM":
                worker.process.send_signal(signal.SIGTERM)
            else:
                os.killpg(worker.pid, signal.SIGINT if "SIGINT" in how else signal.SIGTERM)
            worker.wait_for("asked to stop")
        gate.touch()
        assert worker.wait_until_ended() in ((0,) if "SIGTERM" in how else (0, 1, 130))
        left = states(store)
        assert set(left) == {"done", "ready"}, worker.words()
        assert num_burned(store) == 0
        assert "has left; nothing is claimed by it" in worker.words()


def test_a_stop_in_the_middle_of_a_models_claim_burns_no_attempt(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    model = str(make_model("bert", tmp_path / "model"))
    clauses = [f"clause {number} " + "says what the parties owe " * 60 for number in range(100)]
    with open_store(sqlite_url) as store:
        submit(store, document_texts=clauses, query_texts=QUERIES[:10], scorer=ScorerSpec(model=model))
        with worker_process(
            sqlite_url, redis_url, tmp_path / "log", model=model, rescue_s=0.5, batch_tokens=512
        ) as worker:
            worker.wait_for("claimed ")
            assert worker.stop() == 0
            assert "has left; nothing is claimed by it" in worker.words()
        assert set(states(store)) <= {"done", "ready"}
        assert states(store)["ready"] > 0, "too late, the job was done"
        assert num_burned(store) == 0


def test_two_workers_share_a_job(store_url: str, redis_url: str, tmp_path: Path) -> None:
    with (
        open_store(store_url) as store,
        worker_process(store_url, redis_url, tmp_path / "one", rescue_s=0.5) as one,
        worker_process(store_url, redis_url, tmp_path / "two", rescue_s=0.5) as two,
    ):
        one.wait_until_ready()
        two.wait_until_ready()
        job_id = submit_long_job(store)
        ring(redis_url)
        wait_until(is_done(store, job_id), SOON_S, "the job to be done")
        assert_complete(store, job_id)
        for worker in (one, two):
            assert "landed" in worker.words(), worker.words()
        assert num_burned(store) == 0


def test_losing_every_message_delays_work_by_a_rescue_round_only(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with (
        open_store(sqlite_url) as store,
        redis.Redis.from_url(redis_url) as broker,
        worker_process(
            sqlite_url, redis_url, tmp_path / "log", rescue_s=0.5, failpoints=pauses_at(gate)
        ) as worker,
    ):
        first = submit_long_job(store)
        ring(redis_url)
        with half_way(store, first):
            broker.flushall()
            os.kill(worker.child_pid(), signal.SIGKILL)
        gate.touch()
        wait_until(is_done(store, first), SOON_S, "the job to be done without its message")
        assert_complete(store, first)
        broker.flushall()
        second = submit(store, key="never rung for").job_id
        wait_until(is_done(store, second), SOON_S, "the job nobody rang for")
        assert broker.llen(queue_name("null")) <= 1


@contextmanager
def task_events(redis_url: str) -> Iterator[list[dict[str, object]]]:
    """Every event that workers and producers send, as Flower hears them."""
    seen: list[dict[str, object]] = []
    app = Celery(broker=redis_url, set_as_current=False)
    with app.connection_for_read() as connection:
        receiver = EventReceiver(connection, app=app, handlers={"*": seen.append})
        listening = threading.Thread(target=receiver.capture, kwargs={"wakeup": False}, daemon=True)
        listening.start()
        yield seen
        receiver.should_stop = True
        listening.join()


def test_flower_sees_each_task_end_with_a_readable_line(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    with (
        task_events(redis_url) as seen,
        open_store(sqlite_url) as store,
        worker_process(sqlite_url, redis_url, tmp_path / "log", rescue_s=0.5),
    ):
        job_id = submit(store).job_id
        ring(redis_url)

        def lines() -> list[str]:
            return [str(event["result"]) for event in seen if event["type"] == "task-succeeded"]

        wait_until(lambda: any("pairs" in line for line in lines()), SOON_S, "the task's event")
        [line] = [line for line in lines() if "pairs" in line]
        assert line.startswith(f"'job {job_id}: 3 shards, 6 pairs, ")
        assert {"task-sent", "task-received", "task-started", "task-succeeded"} <= {
            str(event["type"]) for event in seen
        }


def test_a_worker_of_one_job_leaves_others_alone_and_ends_with_its_parent(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    with open_store(sqlite_url) as store:
        submit(store, key="of others")
        ours = submit(store, key="ours", document_texts=["quite", "other"]).job_id
        owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        log = tmp_path / "log"
        with worker_process(sqlite_url, redis_url, log, job=ours, parent_pid=owner.pid) as worker:
            wait_until(is_done(store, ours), SOON_S, "our job to be done")
            owner.kill()
            owner.wait()
            assert worker.wait_until_ended() == 0
            assert f"process {owner.pid}, which this worker belongs to, is gone" in worker.words()
        assert states(store) == {"ready": 3, "done": 2}


def test_a_worker_frozen_past_its_lease_lands_nothing(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with open_store(sqlite_url) as store:
        with worker_process(
            sqlite_url,
            redis_url,
            tmp_path / "frozen",
            lease_s=1,
            heartbeat_s=0.3,
            rescue_s=0.5,
            failpoints=pauses_at(gate),
        ) as sleeper:
            job_id = submit_long_job(store)
            ring(redis_url)
            with half_way(store, job_id):
                _freeze(sleeper)
            execute(store, "UPDATE workers SET machine = 'elsewhere'")  # whether it lives cannot be seen
            with worker_process(sqlite_url, redis_url, tmp_path / "other", rescue_s=0.3, lease_s=60):
                wait_until(is_done(store, job_id), SOON_S, "the other worker to finish the job")
            gate.touch()
            for process in sleeper.everyone():
                process.resume()
            sleeper.wait_for("is no longer ours")
        assert_complete(store, job_id)


def _freeze(worker: WorkerProcess) -> None:
    """SIGSTOP, and waits until every thread has stopped: one that still ran could take the store's lock."""
    frozen_ones = worker.everyone()
    for process in frozen_ones:
        process.suspend()

    def has_stopped(process: psutil.Process) -> bool:
        stats = Path(f"/proc/{process.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in stats)

    wait_until(lambda: all(map(has_stopped, frozen_ones)), SOON_S, "the worker to stand still")

"""Failpoints: a process ends, stops or fails exactly where a test says, and nothing happens otherwise."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.runtime import failpoints
from rankmill.db.runtime.failpoints import EXIT_CODE, POINTS, VARIABLE, Plan, plans_from
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.producer.broker.doorbell import Doorbell
from tests.support.jobs.drains import desk
from tests.support.jobs.small_jobs import submit
from tests.support.processes.worker_process import worker_process
from tests.support.waiting import wait_until

SOON_S = 60.0
TWICE = """
from rankmill.db.runtime.failpoints import reach
reach("before_ack")
print("once", flush=True)
reach("before_ack")
print("twice", flush=True)
"""


def end_of(program: str, plan: str) -> tuple[int, list[str]]:
    """The exit code of a process with this plan, and what it printed."""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {VARIABLE: plan},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.returncode, ran.stdout.split()


@pytest.mark.parametrize(
    ("plan", "code", "printed"),
    [
        ("", 0, ["once", "twice"]),
        ("after_load:kill", 0, ["once", "twice"]),
        ("before_ack:kill", -signal.SIGKILL, []),
        ("before_ack:exit; after_load:kill", EXIT_CODE, []),
        ("before_ack:raise", 1, []),
        ("before_ack:kill:2", -signal.SIGKILL, ["once"]),
    ],
)
def test_a_process_ends_at_the_point_that_was_named(plan: str, code: int, printed: list[str]) -> None:
    assert end_of(TWICE, plan) == (code, printed)


def test_only_the_first_process_ends_when_a_file_says_so(tmp_path: Path) -> None:
    plan = f"before_ack:kill:once={tmp_path / 'a:b'}"
    assert end_of(TWICE, plan) == (-signal.SIGKILL, [])
    assert end_of(TWICE, plan) == (0, ["once", "twice"])


def test_a_process_may_stand_still_at_a_point() -> None:
    process = subprocess.Popen([sys.executable, "-c", TWICE], env=os.environ | {VARIABLE: "before_ack:stop"})
    try:
        stat = Path(f"/proc/{process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", SOON_S, "it to stand still")
    finally:
        process.kill()
        process.wait()


def test_a_thread_may_wait_at_a_point_until_a_file_is_made(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    plan = {VARIABLE: f"before_ack:wait:2:until={gate}"}
    with subprocess.Popen(
        [sys.executable, "-c", TWICE], env=os.environ | plan, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "once\n"
        assert process.poll() is None
        gate.touch()
        assert process.communicate(timeout=SOON_S)[0] == "twice\n"


@pytest.mark.parametrize(
    "plan",
    [
        "nowhere:kill",
        "before_ack",
        "before_ack:explode",
        "before_ack:kill:often",
        "before_ack:wait",
        "before_ack:kill:until=gate",
    ],
)
def test_a_plan_that_cannot_be_read_is_refused(plan: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        plans_from(plan)


def recording(point: str, seen: list[str]) -> Callable[[], None]:
    return lambda: seen.append(point)


def test_every_point_is_reached_in_the_life_of_a_job(
    store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    plans = {point: Plan(recording(point, seen), 1, None) for point in POINTS}
    monkeypatch.setattr(failpoints, "_plans", plans)
    monkeypatch.setattr(failpoints, "_num_reached", {})
    job_id = submit(store).job_id
    with Doorbell(redis_url) as doorbell:
        doorbell.ring("null", job_id)
    with desk(store) as worker:
        worker.leases.begin()
        wait_until(lambda: "during_heartbeat" in seen, SOON_S, "a heartbeat")
        seen.remove("during_heartbeat")
        worker.drain()
    until_it_landed = POINTS[: POINTS.index("after_landing_commit") + 1]
    assert seen == list(until_it_landed)


def test_a_worker_killed_after_landing_and_another_before_its_acknowledgement_cost_nothing(
    store_url: str, redis_url: str, tmp_path: Path
) -> None:
    plan = f"after_landing_commit:kill:once={tmp_path / 'landed'};before_ack:kill:once={tmp_path / 'acked'}"
    with (
        open_store(store_url) as store,
        worker_process(store_url, redis_url, tmp_path / "log", rescue_s=0.5, failpoints=plan) as worker,
    ):
        job_id = submit(store).job_id
        wait_until(lambda: (tmp_path / "acked").exists(), SOON_S, f"both kills:\n{worker.words()}")
        wait_until(lambda: job_progress(store, job_id).state is JobState.DONE, SOON_S, "the job to be done")
        progress = job_progress(store, job_id)
        assert (progress.num_scored, progress.num_failed) == (6, 0)

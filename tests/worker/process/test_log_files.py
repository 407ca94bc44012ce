"""Celery's own ways of starting a worker or a beat as a service: their log files hold what happens."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes.rankmill_command import Rankmill, write_inputs
from tests.support.waiting import wait_until

BIN = Path(sys.executable).parent
SOON_S = 90.0
FILES = ["--pidfile=%n.pid", "--logfile=%n%I.log"]  # as in Celery's own unit for systemd


@pytest.fixture
def rankmill(tmp_path: Path, redis_url: str) -> Iterator[Rankmill]:
    """The command in a folder where services keep their pid files and logs; none of them outlives a test."""
    command = Rankmill(tmp_path)
    command.environment |= {"RANKMILL_BROKER": redis_url, "RANKMILL_MODEL": "null"}
    yield command
    for file in tmp_path.glob("*.pid"):
        os.kill(int(file.read_text()), 9)


def celery(rankmill: Rankmill, *arguments: str, exit_code: int = 0) -> None:
    """Runs Celery's command, which only starts or stops something in the background."""
    ended = subprocess.run(
        [BIN / "celery", *arguments],
        cwd=rankmill.folder,
        env=rankmill.environment | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,  # a pipe would be held open by what is started
        stderr=subprocess.DEVNULL,
        timeout=SOON_S,
        check=False,
    )
    assert ended.returncode == exit_code


def wait_for(log: Path, words: str) -> None:
    def said() -> str:
        return log.read_text() if log.exists() else "there is no log"

    wait_until(lambda: words in said(), SOON_S, f"{words!r} in {log.name}: {said()}")


def test_a_worker_of_celery_multi_logs_where_its_unit_says(rankmill: Rankmill, tmp_path: Path) -> None:
    multi = ["-A", "rankmill.worker.app", "multi"]
    parent, child = tmp_path / "w1.log", tmp_path / "w1-1.log"
    rankmill("migrate")
    celery(rankmill, *multi, "start", "w1", *FILES, "--loglevel=INFO")
    wait_for(child, "takes shards of model null")
    wait_for(parent, "listens on queue")

    child.rename(tmp_path / "w1-1.log.1")  # as logrotate does
    rankmill("submit", *write_inputs(tmp_path, num_documents=2, num_queries=1))
    rankmill("watch", "1")
    wait_for(child, "landed")

    celery(rankmill, *multi, "restart", "w1", *FILES, "--loglevel=DEBUG")
    wait_for(parent, "asked to stop (SIGTERM)")
    wait_for(parent, "Connected to redis://")  # Celery says so itself from DEBUG on
    wait_until(lambda: parent.read_text().count("listens on queue") == 2, SOON_S, "the worker anew")
    celery(rankmill, "multi", "stopwait", "w1", *FILES)
    wait_until(lambda: parent.read_text().count("asked to stop") == 2, SOON_S, "the second stop")
    assert {file.name for file in tmp_path.glob("*.log")} == {"w1.log", "w1-1.log"}
    assert not list(tmp_path.glob("*.pid"))


def test_a_detached_worker_that_cannot_start_says_why_in_its_log(rankmill: Rankmill, tmp_path: Path) -> None:
    log = tmp_path / "celery.log"
    worker = ["-A", "rankmill.worker.app", "worker"]
    celery(rankmill, *worker, "--detach", "--logfile=%n.log")
    wait_for(log, "CRITICAL worker: The store sqlite:///")
    assert "Run: rankmill migrate" in log.read_text()
    assert [file.name for file in tmp_path.glob("*.log")] == ["celery.log"]


def test_a_detached_beat_logs_to_its_file(rankmill: Rankmill, tmp_path: Path) -> None:
    rankmill("migrate")
    beat = ["-A", "rankmill.producer.beat", "beat"]
    celery(rankmill, *beat, "--detach", "--pidfile=beat.pid", "--logfile=beat.log", "--loglevel=INFO")
    wait_for(tmp_path / "beat.log", "beat: asks sqlite:///")
    os.kill(int((tmp_path / "beat.pid").read_text()), 15)
    wait_until(lambda: not (tmp_path / "beat.pid").exists(), SOON_S, "the beat to end")

"""A run that is killed, interrupted or disturbed leaves nothing behind; the same command ends it rightly."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.processes.rankmill_command import (
    Rankmill,
    kill_tree,
    tree_of,
    wait_until_gone,
    write_inputs,
)
from tests.support.waiting import wait_until

NUM_DOCUMENTS, NUM_QUERIES, NUM_WORDS = 120, 300, 2_000
NUM_PAIRS = NUM_DOCUMENTS * NUM_QUERIES
START_TIMEOUT_S = 90


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The results of a run that nobody disturbed."""
    rankmill = Rankmill(tmp_path_factory.mktemp("calm"))
    flags = write_inputs(
        rankmill.folder, num_documents=NUM_DOCUMENTS, num_queries=NUM_QUERIES, num_words=NUM_WORDS
    )
    rankmill("run", *flags, "--output", "out.jsonl")
    return (rankmill.folder / "out.jsonl").read_text()


@pytest.fixture
def rankmill(tmp_path: Path) -> Rankmill:
    return Rankmill(tmp_path)


@pytest.fixture
def flags(rankmill: Rankmill) -> list[str]:
    inputs = write_inputs(
        rankmill.folder, num_documents=NUM_DOCUMENTS, num_queries=NUM_QUERIES, num_words=NUM_WORDS
    )
    return ["run", *inputs, "--output", "out.jsonl"]


class Running:
    """A run held in the middle of its work: some pairs are scored, others are not, its worker stands still.

    Without that the null scorer is done before a test has looked; `let_go` lets the worker go on.
    """

    def __init__(self, rankmill: Rankmill, flags: list[str]) -> None:
        self.rankmill = rankmill
        self.process = rankmill.start(*flags)
        wait_until(self._is_halfway, START_TIMEOUT_S, "a first claim")
        self.tree = tree_of(self.process.pid)
        self._workers = [one for one in self.tree if is_worker(one)]
        for one in self._workers:
            one.suspend()
        (job,) = self.rankmill.jobs()
        assert job.num_scored < NUM_PAIRS, "the run was held too late to show anything"

    def let_go(self) -> None:
        for one in self._workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.resume()

    def _is_halfway(self) -> bool:
        assert self.process.poll() is None, f"the run ended early: {self.process.communicate()}"
        return any(job.num_claimed + job.num_scored for job in self.rankmill.jobs())

    def part(self, *words: str) -> psutil.Process:
        """The process of the run whose command line holds all of these words."""
        found = [one for one in self.tree if all(word in " ".join(one.cmdline()) for word in words)]
        assert found, f"no process of {words} among {[one.cmdline() for one in self.tree]}"
        return found[0]

    def said(self) -> str:
        self.let_go()
        return self.process.communicate(timeout=60)[1]


def is_worker(process: psutil.Process) -> bool:
    """The worker or its child that drains."""
    line = " ".join(process.cmdline())
    return "-m worker" in line or "spawn" in line


@pytest.fixture
def running(rankmill: Rankmill, flags: list[str]) -> Iterator[Running]:
    started = Running(rankmill, flags)
    yield started
    kill_tree(started.process.pid)
    started.process.communicate()


def same_lines(rankmill: Rankmill, calm: str) -> bool:
    lines = (rankmill.folder / "out.jsonl").read_text()
    found = {(line["query_id"], line["document_id"]) for line in map(json.loads, lines.splitlines())}
    return lines == calm and len(found) == NUM_PAIRS


def test_kill_9_of_the_whole_tree_then_the_same_command_gives_the_same_lines(
    rankmill: Rankmill, flags: list[str], running: Running, calm: str
) -> None:
    kill_tree(running.process.pid)
    wait_until_gone(running.tree)
    assert not (rankmill.folder / "out.jsonl").exists()
    again = rankmill(*flags)
    assert "recorded before" in again.stderr
    assert same_lines(rankmill, calm)
    assert len(rankmill.jobs()) == 1


def test_kill_9_of_the_run_alone_takes_worker_and_broker_with_it(
    rankmill: Rankmill, flags: list[str], running: Running, calm: str
) -> None:
    assert len(running.tree) >= 4, "run, broker, worker and the worker's child"
    running.process.kill()
    wait_until_gone(running.tree)
    rankmill(*flags)
    assert same_lines(rankmill, calm)
    assert rankmill.private_folders() == [], "the killed run's folder was swept by the next"


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_stops_everything_softly_and_says_how_to_go_on(
    rankmill: Rankmill, flags: list[str], running: Running, calm: str, signum: int, code: int
) -> None:
    check_seclusion(running)
    running.process.send_signal(signum)
    said = running.said()
    assert running.process.returncode == code, said
    assert "the same command continues" in said
    assert "Traceback" not in said
    wait_until_gone(running.tree)
    assert rankmill.private_folders() == []
    (job,) = rankmill.jobs()
    assert job.num_claimed == 0, "what was claimed was released"
    if signum == signal.SIGINT:
        rankmill(*flags)
        assert same_lines(rankmill, calm)


def check_seclusion(running: Running) -> None:
    """Others can reach nothing that a run starts, and a terminal's Ctrl-C reaches only the run itself."""
    (folder,) = running.rankmill.private_folders()
    assert folder.stat().st_mode & 0o777 == 0o700
    groups = set()
    for process in running.tree:
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            groups.add(os.getpgid(process.pid))
            assert not [one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN]
    assert len(groups) >= 3, "broker and worker have sessions of their own"


def test_whatever_part_is_killed_is_started_again(rankmill: Rankmill, running: Running, calm: str) -> None:
    for words in (("redis",), ("-m", "rankmill.worker")):
        with contextlib.suppress(psutil.NoSuchProcess):
            running.part(*words).kill()
    said = running.said()
    assert running.process.returncode == 0, said
    assert same_lines(rankmill, calm)


def test_two_runs_at_once_do_not_disturb_each_other(
    rankmill: Rankmill, flags: list[str], running: Running, calm: str
) -> None:
    running.let_go()
    (rankmill.folder / "few.tsv").write_text("q\tanother question\n")
    other = ["few.tsv" if flag == "queries.tsv" else flag for flag in flags]
    other[-1] = "few.jsonl"
    rankmill(*other)
    assert len((rankmill.folder / "few.jsonl").read_text().splitlines()) == NUM_DOCUMENTS
    said = running.said()
    assert running.process.returncode == 0, said
    assert same_lines(rankmill, calm)


def test_the_same_run_twice_at_once_is_one_job(
    rankmill: Rankmill, flags: list[str], running: Running, calm: str
) -> None:
    running.let_go()
    rankmill(*flags)
    assert same_lines(rankmill, calm)
    assert running.process.wait(timeout=60) == 0
    assert same_lines(rankmill, calm)
    (job,) = rankmill.jobs()
    assert job.num_scored == NUM_PAIRS


def test_a_cancelled_job_ends_its_run(rankmill: Rankmill, running: Running) -> None:
    running.let_go()
    rankmill("cancel", "1")
    said = running.said()
    assert running.process.returncode == 6, said
    assert "was cancelled" in said
    wait_until_gone(running.tree)

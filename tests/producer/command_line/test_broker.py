"""The parts for production: submit, worker, watch and results, with a real broker between them."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from rankmill.db.queue.workers import register, workers
from rankmill.db.runtime.broker_protocol import queue_name
from rankmill.db.runtime.broker_urls import broker_digest
from rankmill.db.store.opening import open_store
from rankmill.producer.broker.doorbell import BrokerUnavailable, Doorbell
from tests.support.processes.rankmill_command import (
    Rankmill,
    in_process,
    kill_tree,
    tree_of,
    wait_until_gone,
    write_inputs,
)
from tests.support.waiting import wait_until

NUM_PAIRS = 10


@pytest.fixture
def rankmill(tmp_path: Path, redis_url: str) -> Rankmill:
    made = Rankmill(tmp_path)
    made.environment["RANKMILL_BROKER"] = redis_url
    return made


@pytest.fixture
def flags(rankmill: Rankmill) -> list[str]:
    return write_inputs(rankmill.folder, num_documents=5, num_queries=2)


@pytest.fixture
def here(rankmill: Rankmill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets commands inside the test's process see the same store and broker."""
    monkeypatch.chdir(rankmill.folder)
    for name in ("RANKMILL_STORE", "RANKMILL_BROKER"):
        monkeypatch.setenv(name, rankmill.environment[name])


def messages(redis_url: str) -> list[bytes]:
    with redis.Redis.from_url(redis_url) as client:
        return list(client.lrange(queue_name("null"), 0, -1))


@pytest.mark.usefixtures("here")
def test_submit_rings_with_ids_only_and_twice_is_one_job(
    flags: list[str], redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("submit", *flags, "--name", "tonight", "--priority", "high") == 0
    said = capsys.readouterr()
    assert said.out == "1\n", "the job's id, for scripts"
    assert "2 queries, 5 documents, 10 pairs" in said.err
    assert "No worker for model null is known yet" in said.err
    (message,) = messages(redis_url)
    assert b"clause" not in message.lower(), "no text in messages"
    assert json.loads(message)["headers"]["argsrepr"] == "(job=1)"
    assert in_process("submit", *flags, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["job_id"], facts["is_new"], facts["name"]) == (1, False, "tonight")


@pytest.mark.usefixtures("here")
def test_a_broker_lost_after_the_job_is_stored_is_a_warning(
    flags: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(*_: object) -> None:
        raise BrokerUnavailable("redis://gone/0", "it went away")

    monkeypatch.setattr(Doorbell, "ring", vanish)
    assert in_process("submit", *flags) == 0
    said = capsys.readouterr()
    assert said.out == "1\n"
    assert "warning: The job is recorded, but workers could not be told" in said.err


@pytest.fixture
def working(rankmill: Rankmill) -> Iterator[int]:
    """A worker started as a person starts one; its process id."""
    process = rankmill.start("worker", "--model", "null")

    def is_known() -> bool:
        assert process.poll() is None, process.communicate()
        if not (rankmill.folder / "store.db").exists():
            return False
        with open_store(rankmill.store_url) as store:
            return bool(workers(store))

    open_store(rankmill.store_url, create=True).close()
    wait_until(is_known, 60, "the worker to register")
    yield process.pid
    tree = tree_of(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        wait_until_gone(tree)
    finally:
        kill_tree(process.pid)


@pytest.mark.usefixtures("here")
def test_what_is_submitted_is_drained_watched_and_written_and_run_uses_the_same_worker(
    rankmill: Rankmill, flags: list[str], working: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("submit", *flags, "--top-k", "3") == 0
    assert "No worker" not in capsys.readouterr().err
    assert in_process("watch", "1") == 0
    assert "10 of 10 pairs (100%)" in capsys.readouterr().err
    rankmill("results", "1", "--output", "out.jsonl")
    lines = (rankmill.folder / "out.jsonl").read_text().splitlines()
    assert len(lines) == 2 * 3, "top-k is the job's own unless said otherwise"
    rankmill("results", "1", "--output", "all.jsonl", "--top-k", "9")
    assert len((rankmill.folder / "all.jsonl").read_text().splitlines()) == NUM_PAIRS

    (rankmill.folder / "queries.tsv").write_text("q9\twhat else?\n")
    before = set(rankmill.temporary.iterdir())
    assert in_process("run", *flags, "--json") == 0
    assert json.loads(capsys.readouterr().out)["num_scored"] == 5
    assert set(rankmill.temporary.iterdir()) == before, "it started nothing of its own"
    with open_store(rankmill.store_url) as store:
        (row,) = workers(store, only_alive=False)
    assert row.stopped_at is None
    assert os.getpgid(row.pid) == os.getpgid(working)
    assert in_process("status", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert [one["model"] for one in facts["workers"]] == ["null"]


def test_workers_of_another_job_or_another_broker_are_not_counted_on(
    rankmill: Rankmill, flags: list[str]
) -> None:
    with open_store(rankmill.store_url, create=True) as store:
        register(
            store,
            "null",
            only_job_id=99,
            broker_digest=broker_digest(rankmill.environment["RANKMILL_BROKER"]),
        )
        register(store, "null", broker_digest=broker_digest("redis://elsewhere/0"))
    assert "No worker for model null is known yet" in rankmill("submit", *flags).stderr
    assert len(rankmill("run", *flags, "--output", "-").stdout.splitlines()) == NUM_PAIRS


def test_when_the_last_worker_falls_silent_run_goes_on_with_its_own(
    rankmill: Rankmill, flags: list[str]
) -> None:
    with open_store(rankmill.store_url, create=True) as store:
        register(store, "null")  # and nothing more is ever heard of it
    process = rankmill.start(
        "run", *flags, RANKMILL_LEASE_S="8", RANKMILL_HEARTBEAT_S="1", RANKMILL_RESCUE_S="1"
    )
    try:
        wait_until(lambda: rankmill.jobs(), 30, "the job to be recorded")
        with open_store(rankmill.store_url) as store:
            assert len(workers(store)) == 1, "at first it counts on the worker"
        _, said = process.communicate(timeout=60)
    finally:
        kill_tree(process.pid)
    assert process.returncode == 0, said
    assert "10 of 10 pairs (100%)" in said


def test_run_with_a_broker_and_no_worker_brings_its_own_and_postgresql_gives_the_same(
    rankmill: Rankmill, flags: list[str], postgres_url: str
) -> None:
    done = rankmill("run", *flags, "--output", "-")
    assert len(done.stdout.splitlines()) == NUM_PAIRS
    with open_store(rankmill.store_url) as store:
        assert workers(store) == []
    shown = rankmill("run", *flags)
    del rankmill.environment["RANKMILL_BROKER"]
    assert rankmill("run", *flags, "--output", "-", "--store", postgres_url).stdout == done.stdout
    assert rankmill("run", *flags, "--store", postgres_url).stdout == shown.stdout

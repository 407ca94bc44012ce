"""Real workers on a store that refuses: hostile settings, triggers, locks. No pair is to blame for it."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue.workers import workers
from rankmill.db.records.jobs import JobState
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from tests.support.jobs.drains import num_burned, states
from tests.support.jobs.small_jobs import submit
from tests.support.processes.rankmill_command import in_process
from tests.support.processes.worker_process import WorkerProcess, worker_process
from tests.support.servers.refusing import WORDS, refusing
from tests.support.waiting import wait_until

SCRIPTS = ["合同期限为三年，可提前通知终止", "la durée du contrat", "emoji 😀 contract"]
SOON_S = 90.0


@pytest.fixture
def worker(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker in an environment that another program left behind."""
    environment = {"PGCLIENTENCODING": "LATIN1", "PGOPTIONS": "-c search_path=nowhere"}
    with worker_process(
        postgres_url, redis_url, tmp_path / "log", variables=environment, rescue_s=0.5
    ) as started:
        yield started


def is_done(store: Store, job_id: int) -> bool:
    return job_progress(store, job_id).state is JobState.DONE


def problem(store: Store) -> str | None:
    return next((row.problem for row in workers(store) if row.problem), None)


def test_texts_of_every_script_are_read_whatever_encoding_the_environment_names(
    postgres_url: str, worker: WorkerProcess
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("ALTER ROLE postgres SET client_encoding = 'LATIN1'")
    try:
        with open_store(postgres_url) as store:
            job_id = submit(store, query_texts=["wer? 谁"], document_texts=SCRIPTS).job_id
            wait_until(lambda: is_done(store, job_id), SOON_S, "the job to be done")
            assert (job_progress(store, job_id).num_failed, num_burned(store)) == (0, 0), worker.words()
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("ALTER ROLE postgres RESET client_encoding")


def test_a_worker_whose_scores_are_refused_says_so_rests_and_goes_on(
    postgres_url: str,
    worker: WorkerProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_store(postgres_url) as store:
        with refusing(store, "scores"):
            job_id = submit(store, document_texts=[f"clause {number}" for number in range(40)]).job_id
            wait_until(lambda: problem(store), SOON_S, "the worker's problem")
            wait_until(lambda: worker.words().count("asked again after") >= 2, SOON_S, "a second rest")
            assert "asked again after 10 s" in worker.words()
            assert (set(states(store)) <= {"ready", "claimed"}, num_burned(store)) == (True, 0)
            monkeypatch.setenv("RANKMILL_STORE", postgres_url)

            def says_so() -> bool:
                assert in_process("status", str(job_id), "--json") == 0
                shown = json.loads(capsys.readouterr().out)
                return any(WORDS in (row["problem"] or "") for row in shown["workers"])

            wait_until(says_so, SOON_S, "the status to say what the worker's problem is")
        wait_until(lambda: is_done(store, job_id), SOON_S, "the job to be done")
        assert (job_progress(store, job_id).num_failed, num_burned(store)) == (0, 0)
        wait_until(lambda: problem(store) is None, SOON_S, "the problem to be over")


def test_one_refused_score_holds_up_no_other_and_status_says_what_is_tried_again(
    postgres_url: str,
    worker: WorkerProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_store(postgres_url) as store:
        with refusing(store, "scores", "NEW.document_text_id % 40 = 7"):
            job_id = submit(store, document_texts=[f"clause {number}" for number in range(40)]).job_id

            def all_but_one_are_done() -> bool:
                return states(store) == {"done": 39, "ready": 1}

            wait_until(all_but_one_are_done, SOON_S, "all but one shard to be done")
            monkeypatch.setenv("RANKMILL_STORE", postgres_url)
            assert in_process("status", str(job_id)) == 0
            shown = capsys.readouterr().out
            assert "1 shard went wrong before and will be tried again: " in shown
            assert (WORDS in shown, problem(store), num_burned(store)) == (True, None, 0)
        wait_until(lambda: is_done(store, job_id), SOON_S, "the job to be done")
        assert (job_progress(store, job_id).num_failed, num_burned(store)) == (0, 0)

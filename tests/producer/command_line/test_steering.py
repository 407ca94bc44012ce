"""pause, resume, retry and cancel say what they did, and what they could not do."""

import json

import pytest

from rankmill.db.queue.claims import fail
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.processes.rankmill_command import in_process


def said(capsys: pytest.CaptureFixture[str], store: Store, *arguments: str, code: int = 0) -> str:
    """What a command says on standard error, or on standard output if it says nothing there."""
    assert in_process(*arguments, "--store", store.url) == code
    captured = capsys.readouterr()
    return captured.err or captured.out


def test_a_job_is_paused_shown_as_paused_and_goes_on(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(store, name="tonight")
    assert "job 1 is paused; resume it with rankmill resume 1" in said(capsys, store, "pause", "tonight")
    in_process("status", "--store", store.url)
    assert "paused" in capsys.readouterr().out
    facts = json.loads(said(capsys, store, "pause", "tonight", "--json"))
    assert facts["paused_at"] is not None
    assert "job 1 is resumed" in said(capsys, store, "resume", "tonight")
    assert "job 1 was not paused" in said(capsys, store, "resume", "1")
    StandIn(store).drain()
    assert "has ended already" in said(capsys, store, "pause", "tonight")


def test_failed_pairs_are_tried_again_on_request_only(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(store, query_texts=["q"], document_texts=["d"])
    assert "has no failed pairs" in said(capsys, store, "retry", "1", "--failed")
    worker = StandIn(store)
    for _ in range(3):
        fail(store, worker.claim()[0], "broken", 3)
    assert "--failed" in said(capsys, store, "retry", "1", code=2)
    assert "job 1 tries 1 pair again, in 1 shard" in said(capsys, store, "retry", "1", "--failed")
    worker.drain()
    facts = json.loads(said(capsys, store, "retry", "1", "--failed", "--json"))
    assert (facts["state"], facts["num_scored"], facts["num_retried_pairs"]) == ("done", 1, 0)


def test_a_cancelled_job_is_neither_paused_nor_tried_again(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(store)
    assert "job 1 is cancelled; 3 shards were given up" in said(capsys, store, "cancel", "1")
    assert "has ended already" in said(capsys, store, "pause", "1")
    assert "Submit the same inputs again" in said(capsys, store, "retry", "1", "--failed", code=2)
    assert "no job 'unheard of'" in said(capsys, store, "resume", "unheard of", code=2)

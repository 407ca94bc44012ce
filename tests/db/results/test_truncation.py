"""What of a job was read is counted over all its pairs, reused ones too, and said in one sentence."""

import json
from dataclasses import replace

import pytest

from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.landing import complete
from rankmill.db.results.truncation import TruncationCounts, truncation_counts, truncation_of_some
from rankmill.db.store.store import Store
from rankmill.producer.command_line.output.truncation import truncation_cell, truncation_sentence
from tests.support.jobs.small_jobs import StandIn, scored, submit
from tests.support.processes.rankmill_command import in_process


def land(store: Store, **read: object) -> None:
    worker = StandIn(store)
    for held in worker.claim(budget_tokens=10**9):
        result = scored(load(store, held))
        scores = [score._replace(**read) for score in result.scores]  # type: ignore[arg-type]
        complete(store, worker.engine_id, [replace(result, scores=scores)])


def test_cuts_count_every_pair_with_a_score(store: Store) -> None:
    job_id = submit(store, document_texts=["one"]).job_id
    assert truncation_counts(store, job_id) == TruncationCounts(0, 0, 0, 0)
    land(store, num_windows=3)
    assert truncation_counts(store, job_id) == TruncationCounts(2, 2, 0, 0)
    other = submit(store, key="other", document_texts=["one", "two"])
    assert other.num_reused == 2
    land(store, truncated=True, query_truncated=True)
    assert truncation_counts(store, other.job_id) == TruncationCounts(4, 2, 2, 2)
    assert truncation_counts(store, job_id) == TruncationCounts(2, 2, 0, 0)


def test_cuts_of_several_jobs_are_counted_at_once_as_far_as_they_are_small(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = submit(store, document_texts=["one"]).job_id
    land(store, truncated=True)
    large = submit(store, key="second", document_texts=["two", "three"]).job_id
    rows = list_job_progress(store)
    assert [row.job_id for row in rows] == [large, first]
    counts = {first: TruncationCounts(2, 0, 2, 0), large: TruncationCounts(0, 0, 0, 0)}
    for max_pairs, counted in ((6, {first, large}), (5, {large}), (3, {first}), (1, set())):
        monkeypatch.setattr("rankmill.db.results.truncation.MAX_PAIRS", max_pairs)
        assert truncation_of_some(store, rows) == {job_id: counts[job_id] for job_id in counted}


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (None, "…"),
        (TruncationCounts(0, 0, 0, 0), ""),
        (TruncationCounts(4100, 0, 0, 0), "whole"),
        (TruncationCounts(4100, 1212, 3, 1), "1,212 in windows, 3 cut, 1 with the query cut"),
    ],
)
def test_what_was_cut_is_said_in_a_cell(counts: TruncationCounts | None, words: str) -> None:
    assert truncation_cell(counts) == words


def test_status_shows_it_of_all_jobs(
    sqlite_store: Store, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    submit(sqlite_store, document_texts=["one"])
    land(sqlite_store, truncated=True)
    submit(sqlite_store, key="large", document_texts=["two", "three"])
    monkeypatch.setattr("rankmill.db.results.truncation.MAX_PAIRS", 3)
    assert in_process("status", "--store", sqlite_url) == 0
    said = capsys.readouterr().out
    assert "…: too many pairs" in said
    monkeypatch.undo()
    assert in_process("status", "--store", sqlite_url, "--json") == 0
    assert [job["num_truncated"] for job in json.loads(capsys.readouterr().out)["jobs"]] == [0, 2]
    assert in_process("status", "--store", sqlite_url) == 0
    assert "2 cut" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (TruncationCounts(0, 0, 0, 0), ""),
        (TruncationCounts(4100, 212, 0, 0), "212 of 4,100 pairs needed windows; nothing was cut"),
        (TruncationCounts(4, 0, 0, 0), "no pair needed windows; nothing was cut"),
        (
            TruncationCounts(4, 1, 2, 1),
            "1 of 4 pairs needed windows; 2 pairs lost the end of the document, see `truncated` and "
            "1 pair lost the end of the query, see `query_truncated`",
        ),
    ],
)
def test_what_was_cut_is_said_in_a_sentence(counts: TruncationCounts, words: str) -> None:
    assert truncation_sentence(counts) == words

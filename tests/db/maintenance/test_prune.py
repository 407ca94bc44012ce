"""Pruning removes what is old and needed by nothing, and never what anything still points at."""

import threading

import pytest

from rankmill.db.corpus.collections import COLLECTIONS
from rankmill.db.jobs.find import find_job_by_key
from rankmill.db.jobs.progress import job_progress, list_job_progress
from rankmill.db.maintenance.prune import Pruned, Pruning, prune
from rankmill.db.rankings.publish import publish_due
from rankmill.db.records.jobs import JobRequest, JobState
from rankmill.db.records.rankings import Publishing
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.bulk import run
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import open_draft
from rankmill.producer.sources.kinds import document_rows
from rankmill.producer.submission.sync import sync
from tests.support.jobs.small_jobs import SPEC, Slicer, StandIn, documents, queries, submit

DAY_S = 86_400.0


def age(store: Store, days: float) -> None:
    """Makes everything that ended look as if that had been so many days ago."""
    ages = (("jobs", "finished_at"), ("scores", "scored_at"), ("publish_requests", "settled_for"))
    with store.writing() as connection:
        for table, column in ages:
            run(connection, f"UPDATE {table} SET {column} = {column} - ?", days * DAY_S)


def removed(pruned: Pruned) -> tuple[int, int, int]:
    return pruned.num_jobs, pruned.num_scores, pruned.num_texts


def counts(store: Store) -> dict[str, int]:
    tables = ("jobs", "job_queries", "job_documents", "pairs", "shards", "scores", "texts")
    with store.reading() as connection:
        return {table: run(connection, f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def nightly(store: Store, key: str, texts: list[str], **asked: object) -> int:
    """A job of one question that is scored to its end."""
    job = submit(store, key=key, query_texts=["first?"], document_texts=texts, **asked)  # type: ignore[arg-type]
    StandIn(store).drain()
    return job.job_id


def test_a_trial_says_what_would_go_and_the_act_removes_just_that(store: Store) -> None:
    nightly(store, "old", ["one", "two"])
    age(store, 40)
    nightly(store, "new", ["two", "three"])
    before = counts(store)
    expected = prune(store, 30 * DAY_S, is_trial=True)
    assert counts(store) == before
    assert removed(expected) == (1, 1, 1), "the old job, and the document that only it had"
    assert removed(prune(store, 30 * DAY_S, is_trial=False)) == (1, 1, 1)
    assert counts(store) == {
        "jobs": 1,
        "job_queries": 1,
        "job_documents": 2,
        "pairs": 2,
        "shards": 1,
        "scores": 2,
        "texts": 3,
    }
    assert removed(prune(store, 30 * DAY_S, is_trial=True)) == (0, 0, 0)


def test_what_is_young_stays(store: Store) -> None:
    nightly(store, "young", ["one"])
    age(store, 29)
    assert removed(prune(store, 30 * DAY_S, is_trial=False)) == (0, 0, 0)


def test_an_active_job_stays_however_old_and_so_do_the_scores_it_reuses(store: Store) -> None:
    nightly(store, "old", ["one", "two"])
    waiting = submit(store, key="waiting", query_texts=["first?"], document_texts=["one", "new"])
    assert waiting.num_reused == 1
    age(store, 400)
    assert removed(prune(store, 30 * DAY_S, is_trial=False)) == (1, 1, 1)
    StandIn(store).drain()
    row = job_progress(store, waiting.job_id)
    assert (row.state, row.num_reused, row.num_scored, row.num_failed) == (JobState.DONE, 1, 1, 0)
    assert len(list(ranked_results(store, waiting.job_id))) == 2


def test_what_a_kept_publication_stands_on_stays(store: Store) -> None:
    asked = Publishing(ranking="kb", keep=1)
    first = nightly(store, "first", ["one"], publishing=asked)
    publish_due(store)
    age(store, 90)
    assert removed(prune(store, 30 * DAY_S, is_trial=False)) == (0, 0, 0)
    assert len(list(ranked_results(store, first))) == 1
    nightly(store, "second", ["two"], publishing=asked)
    publish_due(store)
    age(store, 90)
    pruned = prune(store, 30 * DAY_S, is_trial=False)
    with store.reading() as connection:
        kept = [job_id for (job_id,) in run(connection, "SELECT job_id FROM publications")]
    assert {row.job_id for row in list_job_progress(store)} == set(kept)
    assert pruned.num_jobs == 2 - len(kept)


def test_texts_of_collections_stay_without_any_job(store: Store) -> None:
    sync(store, COLLECTIONS, "kb", document_rows({"d1": "kept", "d2": "dropped"}))
    sync(store, COLLECTIONS, "kb", document_rows({"d1": "kept"}))
    assert removed(prune(store, 0, is_trial=False)) == (0, 0, 1)
    with store.reading() as connection:
        assert run(connection, "SELECT content FROM texts").fetchall() == [("kept",)]


def test_texts_that_somebody_just_read_stay_until_his_job_is_there(store: Store) -> None:
    nightly(store, "old", ["one", "two"])
    age(store, 90)
    with open_draft(store) as reader:
        reader.add_queries(queries(["first?"]))
        reader.use_all_pairs()
        reader.add_documents(documents(["one", "never seen"]))
        pruned = prune(store, 30 * DAY_S, is_trial=False)
        assert (pruned.num_jobs, pruned.num_texts, pruned.is_whole) == (1, 0, False)
        published = reader.record(JobRequest(key="new", name=None, scorer=SPEC), Slicer(2))
    assert (published.num_pairs, published.num_reused) == (2, 0), "its scores were gone before it came"
    assert removed(prune(store, 30 * DAY_S, is_trial=False)) == (0, 0, 1)
    StandIn(store).drain()
    assert len(list(ranked_results(store, published.job_id))) == 2


def test_a_reader_that_was_killed_holds_texts_back_for_an_hour_only(store: Store) -> None:
    sync(store, COLLECTIONS, "kb", document_rows({"d1": "one"}))
    sync(store, COLLECTIONS, "kb", document_rows({"d1": "two"}))
    with store.writing() as connection:
        run(connection, "INSERT INTO drafts (seen_at) SELECT synced_at FROM collections")
    assert prune(store, 0, is_trial=False).num_texts == 0
    with store.writing() as connection:
        run(connection, "UPDATE drafts SET seen_at = seen_at - 3601")
    assert prune(store, 0, is_trial=False).num_texts == 1


def test_a_job_that_comes_between_looking_and_removing_keeps_the_scores_it_found(store: Store) -> None:
    nightly(store, "old", ["one", "two"])
    age(store, 90)
    with store.connection() as connection:
        pruning = Pruning(store, connection, 30 * DAY_S)
        assert pruning.preview().num_scores == 2
        reuser = submit(store, key="new", query_texts=["first?"], document_texts=["one"])
        assert (reuser.num_reused, job_progress(store, reuser.job_id).state) == (1, JobState.DONE)
        assert all(pruning.remove_job(job_id) for job_id in pruning.job_ids)
        assert (pruning.remove_scores(), pruning.remove_texts()) == (1, 1)
    (row,) = ranked_results(store, reuser.job_id)
    assert row.reused
    assert row.logit is not None


def test_a_prune_that_was_killed_half_way_is_finished_by_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = nightly(store, "old", ["one", "two"])
    age(store, 90)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Pruning, "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        prune(store, 30 * DAY_S, is_trial=False)
    monkeypatch.undo()
    assert list(ranked_results(store, old)) == [], "half of a job is never shown"
    assert find_job_by_key(store, "old") is None
    assert removed(prune(store, 30 * DAY_S, is_trial=False)) == (1, 2, 3)
    assert not any(counts(store).values())


def test_prunes_beside_submissions_and_workers_lose_nothing(store: Store) -> None:
    ends = threading.Event()

    def keep_pruning() -> None:
        while not ends.is_set():
            prune(store, 0, is_trial=False)

    pruners = [threading.Thread(target=keep_pruning) for _ in range(2)]
    for pruner in pruners:
        pruner.start()
    try:
        for number in range(8):
            job = submit(
                store,
                key=f"job {number}",
                query_texts=["first?"],
                document_texts=["always", f"only {number}"],
                publishing=Publishing(ranking="kb", keep=1),
            )
            StandIn(store, scorer_id=1).drain()
            row = job_progress(store, job.job_id)
            assert (row.num_pairs, row.num_failed, row.state) == (2, 0, JobState.DONE)
            assert len(list(ranked_results(store, job.job_id))) == 2
            publish_due(store)
    finally:
        ends.set()
        for pruner in pruners:
            pruner.join()

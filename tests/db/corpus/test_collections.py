"""Collections and query sets: made equal to a file in one visible step, and taken by jobs as they stand."""

import json
import threading
from pathlib import Path

import pytest

from rankmill.db.corpus.collections import COLLECTIONS, QUERY_SETS, find, list_named_sets, remove
from rankmill.db.corpus.sync import open_sync
from rankmill.db.errors import DraftExpired, UnknownName
from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.inputs import DocumentRow
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.results.ranked import ranked_results
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.bulk import run
from rankmill.db.store.store import Store
from rankmill.producer.errors import InputError, UsageError
from rankmill.producer.sources.documents import DocumentValues
from rankmill.producer.sources.kinds import document_rows, query_rows
from rankmill.producer.sources.stored import Collection, QuerySet
from rankmill.producer.submission.inputs import Inputs, JobOptions, inputs_from
from rankmill.producer.submission.record import RecordedJob, record
from rankmill.producer.submission.sync import SyncResult, sync
from tests.support.jobs.small_jobs import StandIn

SETTINGS = Settings(model="null")
SPEC = ScorerSpec(model="null")


def sync_kb(store: Store, documents: Path | DocumentValues, *, is_trial: bool = False) -> SyncResult:
    return sync(store, COLLECTIONS, "kb", document_rows(documents), is_trial=is_trial)


def counts(synced: SyncResult) -> tuple[int, int, int, int]:
    found = synced.difference
    return found.num_added, found.num_changed, found.num_removed, found.num_unchanged


def held(store: Store, collection: str = "kb") -> dict[str, str]:
    with store.reading() as connection:
        return dict(
            run(
                connection,
                "SELECT document_id, content FROM collection_documents "
                "JOIN collections ON collections.id = collection_id "
                "JOIN texts ON texts.id = text_id WHERE name = ?",
                collection,
            )
        )


def submit(store: Store, inputs: Inputs) -> RecordedJob:
    return record(store, inputs, SPEC, JobOptions(), SETTINGS)


def test_a_sync_makes_the_collection_equal_to_what_it_is_given(store: Store) -> None:
    assert counts(sync_kb(store, {"a": "one", "b": "two", "c": "three"})) == (3, 0, 0, 0)
    assert counts(sync_kb(store, {"d": "four", "b": "TWO", "c": "three"})) == (1, 1, 1, 1)
    assert held(store) == {"d": "four", "b": "TWO", "c": "three"}
    kept = find(store, COLLECTIONS, "kb")
    assert (kept.num_members, kept.version) == (3, 2)


def test_a_sync_that_changes_nothing_leaves_the_version(store: Store) -> None:
    sync_kb(store, {"a": "one"})
    before = find(store, COLLECTIONS, "kb")
    assert counts(sync_kb(store, {"a": "one"})) == (0, 0, 0, 1)
    after = find(store, COLLECTIONS, "kb")
    assert (after.version, after.created_at) == (before.version, before.created_at)
    assert after.synced_at >= before.synced_at


def test_a_trial_counts_and_changes_nothing(store: Store) -> None:
    sync_kb(store, {"a": "one", "b": "two"})
    assert counts(sync_kb(store, {"a": "ONE", "c": "three"}, is_trial=True)) == (1, 1, 1, 0)
    assert held(store) == {"a": "one", "b": "two"}
    with store.reading() as connection:
        assert run(connection, "SELECT count(*) FROM texts").fetchone()[0] == 2
    assert counts(sync(store, COLLECTIONS, "new", document_rows({"x": "y"}), is_trial=True)) == (1, 0, 0, 0)
    assert [row.name for row in list_named_sets(store, COLLECTIONS)] == ["kb"]


def test_the_same_file_again_is_known_without_being_read(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "kb.jsonl"
    path.write_text('{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n')
    assert counts(sync_kb(store, path)) == (2, 0, 0, 0)
    with store.writing() as connection:  # were it read, this would be put right
        run(connection, "UPDATE texts SET digest = content::bytea" if is_postgresql(store) else UNSETTLE)
    assert counts(sync_kb(store, path)) == (0, 0, 0, 2)
    assert counts(sync_kb(store, path, is_trial=True)) == (0, 0, 0, 2)


UNSETTLE = "UPDATE texts SET digest = CAST(content AS BLOB)"


def is_postgresql(store: Store) -> bool:
    return store.dialect == "postgresql"


def test_another_sync_in_between_makes_the_old_file_count_again(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "kb.jsonl"
    path.write_text('{"id": "a", "text": "one"}\n')
    sync_kb(store, path)
    sync_kb(store, {"b": "two"})
    assert counts(sync_kb(store, path)) == (1, 0, 1, 0)
    assert held(store) == {"a": "one"}


def test_a_wrong_line_changes_nothing(store: Store, tmp_path: Path) -> None:
    sync_kb(store, {"a": "one"})
    path = tmp_path / "kb.jsonl"
    for wrong, said in (
        ('{"id": "b", "text": "two"}\n{"id": "b", "text": "three"}\n', r"line 2: .*already on line 1"),
        ('{"id": "b", "text": "two"}\n{"id": "c"\n', "line 2"),
        ("", "empty"),
    ):
        path.write_text(wrong)
        with pytest.raises(InputError, match=said):
            sync_kb(store, path)
        assert held(store) == {"a": "one"}


def test_a_sync_that_is_given_up_half_way_leaves_the_old_state(store: Store) -> None:
    sync_kb(store, {"a": "one"})
    with open_sync(store, COLLECTIONS, "kb") as half:
        half.add_documents([DocumentRow("b", "two", 0, 1)])
    assert held(store) == {"a": "one"}
    with store.reading() as connection:
        assert run(connection, "SELECT count(*) FROM drafts").fetchone()[0] == 0


def test_two_syncs_at_once_leave_what_one_of_them_said(store: Store) -> None:
    states = [{f"{name}{number}": f"{name} {number}" for number in range(50)} for name in ("x", "y")]
    threads = [threading.Thread(target=sync_kb, args=(store, state)) for state in states]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held(store) in states
    assert find(store, COLLECTIONS, "kb").version == 2


def test_a_sync_whose_texts_may_be_pruned_says_so_instead_of_pointing_at_nothing(store: Store) -> None:
    with open_sync(store, COLLECTIONS, "kb") as slow:
        slow.add_documents([DocumentRow("a", "one", 0, 1)])
        with store.writing() as connection:
            run(connection, "DELETE FROM drafts")
        with pytest.raises(DraftExpired, match="Run it again"):
            slow.apply(None)
    assert list_named_sets(store, COLLECTIONS) == []


def test_a_job_takes_the_collection_and_the_query_set_as_they_are_when_it_comes(store: Store) -> None:
    sync_kb(store, [("d2", "Title", "two"), ("d1", "", "one")])
    sync(store, QUERY_SETS, "faq", query_rows({"q2": "second?", "q1": "first?"}))
    job = submit(store, inputs_from(Collection("kb"), QuerySet("faq"), None))
    sync_kb(store, {"d3": "three"})
    StandIn(store).drain()
    found = [(row.query_id, row.document_id) for row in ranked_results(store, job.job_id)]
    assert sorted(found) == [(query, document) for query in ("q1", "q2") for document in ("d1", "d2")]
    assert found[0][0] == "q2", "queries keep the order of their file"
    assert {row.span_end for row in ranked_results(store, job.job_id)} == {len("two"), len("one")}


def test_a_run_file_picks_pairs_of_a_collection(store: Store) -> None:
    sync_kb(store, {f"d{number}": f"text {number}" for number in range(9)})
    sync(store, QUERY_SETS, "faq", query_rows({"q1": "first?", "q2": "second?"}))
    wanted = [("q1", "d3"), ("q1", "d7"), ("q2", "d7")]
    job = submit(store, inputs_from(Collection("kb"), QuerySet("faq"), wanted))
    assert (job.num_documents, job.num_pairs) == (2, 3)
    StandIn(store).drain()
    assert sorted((row.query_id, row.document_id) for row in ranked_results(store, job.job_id)) == wanted
    with pytest.raises(InputError, match="'d10'"):
        submit(store, inputs_from(Collection("kb"), QuerySet("faq"), [("q1", "d10")]))


def test_the_same_version_is_the_same_job_and_another_scores_only_what_changed(store: Store) -> None:
    sync_kb(store, {"d1": "one", "d2": "two", "d3": "three"})
    sync(store, QUERY_SETS, "faq", query_rows({"q1": "first?", "q2": "second?"}))
    inputs = inputs_from(Collection("kb"), QuerySet("faq"), None)
    first = submit(store, inputs)
    StandIn(store).drain()
    assert submit(store, inputs).job_id == first.job_id
    sync_kb(store, {"d1": "one", "d2": "TWO", "d3": "three"})
    second = submit(store, inputs)
    assert (second.num_pairs, second.num_reused) == (6, 4)
    assert sum(len(StandIn(store).complete([held])) for held in StandIn(store).claim(10**9)) == 1
    row = job_progress(store, second.job_id)
    assert (row.num_reused, row.num_scored, row.num_failed) == (4, 2, 0)


def test_a_job_may_mix_files_and_what_the_store_keeps(store: Store) -> None:
    sync_kb(store, {"d1": "one"})
    job = submit(store, inputs_from(Collection("kb"), {"q1": "first?"}, None))
    assert job.num_pairs == 1
    assert submit(store, inputs_from(Collection("kb"), {"q1": "first?"}, None)).job_id == job.job_id


def test_what_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(UnknownName, match="There is no collection 'kb'"):
        submit(store, inputs_from(Collection("kb"), {"q1": "first?"}, None))
    with pytest.raises(UnknownName, match="rankmill queryset list"):
        submit(store, inputs_from({"d": "one"}, QuerySet("faq"), None))
    for name in ("", " kb", "two\nlines", "x" * 201):
        with pytest.raises(UsageError, match="cannot be named"):
            sync(store, COLLECTIONS, name, document_rows({"a": "one"}))


def test_a_removed_collection_leaves_the_jobs_made_from_it(store: Store) -> None:
    sync_kb(store, {"d1": "one"})
    job = submit(store, inputs_from(Collection("kb"), {"q1": "first?"}, None))
    assert remove(store, COLLECTIONS, "kb") == 1
    StandIn(store).drain()
    assert [row.document_id for row in ranked_results(store, job.job_id)] == ["d1"]
    with pytest.raises(UnknownName):
        remove(store, COLLECTIONS, "kb")


def test_a_changed_file_offset_of_the_same_text_is_taken_over(store: Store) -> None:
    sync_kb(store, [json.loads('{"id": "a", "title": "one", "text": "two"}')])
    assert counts(sync_kb(store, [("a", "one two")])) == (0, 0, 0, 1)
    with store.reading() as connection:
        assert run(connection, "SELECT text_offset FROM collection_documents").fetchone()[0] == 0
    assert find(store, COLLECTIONS, "kb").version == 2

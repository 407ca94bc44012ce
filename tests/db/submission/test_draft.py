"""Drafts: what is read becomes a job whole or not at all; what is wrong with it is said with its lines."""

from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

import pytest
from sqlalchemy import text

from rankmill.db.errors import DuplicateId, EmptyDraft, StoreError, UnknownId, UnstorableText
from rankmill.db.records.inputs import CandidateRow, DocumentRow, QueryRow
from rankmill.db.records.jobs import JobRequest
from rankmill.db.records.shards import PairCost, ShardPlan
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import Draft, open_draft
from tests.support.jobs.small_jobs import SPEC, Slicer, documents, queries, submit
from tests.support.jobs.store_rows import count, rows

JOB_TABLES = ("jobs", "job_queries", "job_documents", "pairs", "shards", "scorers")
QUESTION = queries(["question"])


def read(
    store: Store,
    query_rows: Iterable[QueryRow],
    document_rows: Iterable[DocumentRow] = (),
    candidate_rows: Iterable[CandidateRow] | None = None,
) -> None:
    """Reads a draft as far as its rows go, and leaves it."""
    with open_draft(store) as drafted:
        drafted.add_queries(query_rows)
        if candidate_rows is None:
            drafted.use_all_pairs()
        else:
            drafted.add_candidates(candidate_rows)
        drafted.add_documents(document_rows)


def publish(store: Store, slicer: Callable[[Iterator[PairCost]], Iterator[ShardPlan]]) -> None:
    with open_draft(store) as drafted:
        fill(drafted)
        drafted.record(JobRequest(key="k", name=None, scorer=SPEC), slicer)


def nothing_is_recorded(store: Store) -> bool:
    return all(count(store, table) == 0 for table in JOB_TABLES)


def test_all_pairs_are_numbered_by_document_then_query(store: Store) -> None:
    submit(store, query_texts=["a", "b"], document_texts=["x", "y", "z"])
    found = [(row["pair_no"], row["document_no"], row["query_no"]) for row in rows(store, "pairs")]
    assert found == [(0, 0, 0), (1, 0, 1), (2, 1, 0), (3, 1, 1), (4, 2, 0), (5, 2, 1)]


def test_candidates_keep_corpus_order_whatever_order_their_lines_have(store: Store) -> None:
    candidates = [("q2", "d3"), ("q1", "d1"), ("q1", "d3"), ("q2", "d1")]
    submission = submit(store, candidates=candidates)
    found = [(row["document_no"], row["query_no"]) for row in rows(store, "pairs")]
    assert found == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [row["document_id"] for row in rows(store, "job_documents")] == ["d1", "d3"]
    assert (submission.num_documents, submission.num_queries, submission.num_pairs) == (2, 2, 4)


def test_texts_of_documents_that_are_no_candidates_are_not_stored(store: Store) -> None:
    submit(store, document_texts=["wanted", "unwanted"], candidates=[("q1", "d1")])
    assert {row["content"] for row in rows(store, "texts")} == {"first question", "second question", "wanted"}


def test_equal_texts_are_stored_once_and_pairs_with_them_are_scored_apart(store: Store) -> None:
    submission = submit(store, query_texts=["same"], document_texts=["twin", "twin", "same"])
    assert (count(store, "texts"), submission.num_pairs) == (2, 3)


def test_shards_cover_pairs_as_sliced(store: Store) -> None:
    submit(store, pairs_per_shard=4)
    found = [(row["first_pair"], row["end_pair"], row["num_pairs"]) for row in rows(store, "shards")]
    assert found == [(0, 4, 4), (4, 6, 2)]


def test_repeated_candidates_are_merged_and_counted(store: Store) -> None:
    lines = [("q1", "d1"), ("q1", "d2"), ("q1", "d1"), ("q1", "d1")]
    with open_draft(store) as drafted:
        drafted.add_queries(queries(["question"]))
        drafted.add_candidates(CandidateRow(*pair, line) for line, pair in enumerate(lines, 1))
        drafted.add_documents(documents(["one", "two"]))
        drafted.check()
        assert (drafted.num_duplicate_candidates, drafted.num_pairs) == (2, 2)


@pytest.mark.parametrize("is_same", [True, False])
@pytest.mark.parametrize("kind", ["query", "document"])
def test_a_repeated_id_is_refused_with_both_lines(store: Store, kind: str, is_same: bool) -> None:
    texts = {3: "text", 5: "other", 9: "text" if is_same else "another", 11: "text"}
    ids = {3: "twice", 5: "once", 9: "twice", 11: "twice"}
    is_query = kind == "query"
    repeated_queries = [QueryRow(ids[line], texts[line], line) for line in ids]
    repeated_documents = [DocumentRow(ids[line], texts[line], 0, line) for line in ids]
    with pytest.raises(DuplicateId) as refusal:
        read(store, repeated_queries if is_query else QUESTION, () if is_query else repeated_documents)
    found = refusal.value
    assert (found.kind, found.id_, found.first_line, found.line) == (kind, "twice", 3, 9)
    assert found.is_same_text is is_same
    assert nothing_is_recorded(store)


def test_a_repeated_id_is_refused_even_where_it_is_no_candidate(store: Store) -> None:
    repeated = [*documents(["one"]), *(DocumentRow("x", "same", 0, line) for line in (2, 3))]
    with pytest.raises(DuplicateId) as refusal:
        read(store, QUESTION, repeated, [CandidateRow("q1", "d1", 1)])
    assert (refusal.value.first_line, refusal.value.line) == (2, 3)
    assert refusal.value.is_same_text


def test_a_candidate_with_an_unknown_query_is_refused_with_its_line(store: Store) -> None:
    lines = [CandidateRow("q1", "d1", 1), CandidateRow("q9", "d1", 2), CandidateRow("q8", "d1", 3)]
    with pytest.raises(UnknownId) as refusal:
        read(store, QUESTION, [], lines)
    assert (refusal.value.kind, refusal.value.id_, refusal.value.line) == ("query", "q9", 2)


def test_a_candidate_with_an_unknown_document_is_refused_with_its_line(store: Store) -> None:
    with pytest.raises(UnknownId) as refusal:
        submit(store, candidates=[("q1", "d1"), ("q1", "d99"), ("q2", "d98")])
    assert (refusal.value.kind, refusal.value.id_, refusal.value.line) == ("document", "d99", 2)
    assert nothing_is_recorded(store)


@pytest.mark.parametrize("missing", ["queries", "candidates", "documents"])
def test_an_empty_input_is_refused(store: Store, missing: str) -> None:
    with pytest.raises(EmptyDraft) as refusal:
        submit(
            store,
            query_texts=[] if missing == "queries" else ["question"],
            candidates=[] if missing == "candidates" else None,
            document_texts=[] if missing == "documents" else ["document"],
        )
    assert refusal.value.kind == missing
    assert nothing_is_recorded(store)


@pytest.mark.parametrize("broken", ["NUL \0 within", "lone surrogate \ud800"])
def test_what_the_databases_cannot_hold_is_refused_by_both_alike(store: Store, broken: str) -> None:
    for bad_query in (QueryRow("q", broken, 1), QueryRow(broken, "text", 1)):
        with pytest.raises(UnstorableText):
            read(store, [bad_query])
    for bad_document in (DocumentRow("d", broken, 0, 1), DocumentRow(broken, "text", 0, 1)):
        with pytest.raises(UnstorableText):
            read(store, QUESTION, [bad_document])
    with pytest.raises(UnstorableText):
        read(store, QUESTION, [], [CandidateRow("q1", broken, 1)])


def test_every_other_text_comes_back_as_it_was(store: Store) -> None:
    strange = [
        "",
        " ",
        "\t\n\r\x0b\x0c\x1f\x7f",
        "e\u0301 é",
        "\U0001f469\u200d\U0001f680",
        "\u202eabc",
        "\\N \\. '\"%s ?",
    ]
    submit(store, query_texts=["question"], document_texts=strange)
    assert {row["content"] for row in rows(store, "texts")} == {"question", *strange}


def test_ids_may_be_long_and_strange(store: Store) -> None:
    ids = ["x" * 50_000, "tab\tand\nline", "\\N", "%s", "Ünïcode 文", "'; DROP TABLE jobs; --", ""]
    with open_draft(store) as drafted:
        drafted.add_queries(QueryRow(id_, f"query {n}", n) for n, id_ in enumerate(ids, 1))
        drafted.add_candidates(CandidateRow(id_, id_, n) for n, id_ in enumerate(ids, 1))
        drafted.add_documents(DocumentRow(id_, f"document {n}", 0, n) for n, id_ in enumerate(ids, 1))
        drafted.record(JobRequest(key="k", name=None, scorer=SPEC), Slicer(2))
    assert [row["document_id"] for row in rows(store, "job_documents")] == ids


class Interrupted(Exception):
    """What a reader or a person's Ctrl-C may raise at any time."""


def stop() -> NoReturn:
    raise Interrupted


def broken_after(given: Iterable[DocumentRow]) -> Iterator[DocumentRow]:
    yield from given
    stop()


def slice_and_stop(pairs: Iterator[PairCost]) -> Iterator[ShardPlan]:
    yield from Slicer(2)(iter([next(pairs), next(pairs)]))
    stop()


def fill(drafted: Draft) -> None:
    drafted.add_queries(queries(["question"]))
    drafted.use_all_pairs()
    drafted.add_documents(documents(["one", "two", "three"]))


def test_an_error_while_reading_leaves_nothing_of_the_job(store: Store) -> None:
    with pytest.raises(Interrupted):
        read(store, QUESTION, broken_after(documents(["one", "two"])))
    assert nothing_is_recorded(store)


def test_an_error_while_publishing_leaves_nothing_of_the_job(store: Store) -> None:
    with pytest.raises(Interrupted):
        publish(store, slice_and_stop)
    assert nothing_is_recorded(store)


def test_a_draft_that_is_not_recorded_is_seen_by_nobody(store: Store) -> None:
    with open_draft(store) as drafted:
        fill(drafted)
        drafted.check()
        assert nothing_is_recorded(store)
    assert nothing_is_recorded(store)


def test_reading_a_corpus_keeps_no_writer_waiting(store: Store) -> None:
    def while_others_write() -> Iterator[CandidateRow]:
        for line in range(1, 50_001):
            if line % 20_000 == 1:
                with store.writing() as connection:
                    connection.execute(text("UPDATE texts SET content = content"))
            yield CandidateRow("q1", f"d{line % 3 + 1}", line)

    with open_draft(store) as drafted:
        drafted.add_queries(queries(["question"]))
        drafted.add_candidates(while_others_write())
        drafted.add_documents(documents(["one", "two", "three"]))
        drafted.check()
        assert drafted.num_duplicate_candidates == 49_997


def test_two_drafts_at_once_do_not_see_each_other(store: Store) -> None:
    with open_draft(store) as first, open_draft(store) as second:
        fill(first)
        fill(second)
        one = first.record(JobRequest(key="one", name=None, scorer=SPEC), Slicer(2))
        two = second.record(JobRequest(key="two", name=None, scorer=SPEC), Slicer(2))
    assert (one.is_new, two.is_new, count(store, "pairs")) == (True, True, 6)


def test_a_refused_statement_is_a_store_error_without_the_texts_in_it(store: Store) -> None:
    with pytest.raises(StoreError) as refusal, store.writing() as connection:
        connection.execute(
            text("INSERT INTO texts (digest, num_bytes, content) VALUES (:secret, NULL, :secret)"),
            {"secret": "confidential words"},
        )
    assert "confidential" not in str(refusal.value)

"""Candidates are read from TREC runs and TSV; shifted columns and uneven lines are told, not guessed."""

import time
from pathlib import Path
from typing import Any

import pytest

from rankmill.db.records.inputs import CandidateRow
from rankmill.producer.errors import InputError
from rankmill.producer.sources.candidates import read_candidate_values, read_candidates
from rankmill.producer.sources.documents import read_documents

TWO = [CandidateRow("q1", "d1", 1), CandidateRow("q1", "d2", 2)]


def read(path: Path, content: str) -> list[CandidateRow]:
    path.write_text(content)
    return list(read_candidates(path))


def refusal(path: Path, content: str) -> str:
    with pytest.raises(InputError) as caught:
        read(path, content)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "q1 Q0 d1 1 9.5 bm25\nq1 Q0 d2 2 -1e3 bm25\n",
        "q1\tQ0\td1\t1\t9.5\tbm25\r\nq1\tQ0\td2\t2\t9\tbm25",
        "  q1   Q0 d1 1 9.5 bm25\nq1 Q0 d2\t2 9.5  bm25 \n",
        "q1\td1\nq1\td2\n",
        "q1\td1\t3\nq1\td2\t-0.25\n",
    ],
)
def test_runs_and_tables_give_the_same_candidates_whatever_the_name(tmp_path: Path, content: str) -> None:
    assert read(tmp_path / "candidates", content) == TWO


@pytest.mark.parametrize(
    "header",
    ["query-id\tcorpus-id\tscore", "query_id\tdocument_id", "qid\tpid", "Query-ID\tCorpus-ID\tScore"],
)
def test_a_header_line_is_skipped(tmp_path: Path, header: str) -> None:
    score = "\t1" * (header.count("\t") - 1)
    assert read(tmp_path / "qrels.tsv", f"{header}\nq1\td1{score}\n") == [CandidateRow("q1", "d1", 2)]


def test_a_header_alone_is_no_candidate(tmp_path: Path) -> None:
    words = refusal(tmp_path / "run.tsv", "query-id\tcorpus-id\n")
    assert words == f"{tmp_path}/run.tsv: there are no candidates below the header. Add some."


def test_ids_in_a_table_may_hold_spaces_and_in_a_run_other_scripts_spaces(tmp_path: Path) -> None:
    assert read(tmp_path / "a", "q 1\ta b c\n") == [CandidateRow("q 1", "a b c", 1)]
    assert read(tmp_path / "a", "q\u00a01 Q0 d\u30001 1 1 x\n") == [CandidateRow("q\u00a01", "d\u30001", 1)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "q1 Q0 d1 1 9.5\n",
            "line 1: 5 columns, which is neither form of candidates. Fix it: a TREC run has 6 "
            "(query_id Q0 document_id rank score tag), a TSV has 2 or 3 (query_id, document_id, score)",
        ),
        ("q1 Q0 d1 1 9 x\nq1 Q0 d1 1 9\n", "line 2: 5 columns where the first line has 6. Fix or remove"),
        ("q1 Q0 d1 1 9 x\nq1 Q0 d1 1 9 x y\n", "line 2: 7 columns where the first line has 6"),
        ("q1\td1\n\nq1\td1\t3\n", "line 3: 3 columns where the first line has 2"),
        ("q1 d1\n", "line 1: 2 columns, which is neither form of candidates"),
        ("q1 0 d1 1\n", "line 1: 4 columns, which is neither"),
        ("q1\n", "line 1: 1 column, which is neither"),
        ('{"query_id": "q1"}\n', "line 1: the line looks like JSON. Candidates are a table"),
        ("q1 Q0 d1 1 high bm25\n", "line 1: the score is not a number. Check the columns"),
        ("q1\td1\tbm25\n", "line 1: the score is not a number"),
        ("q1\td1\t\n", "line 1: the score is not a number"),
        ("\td1\n", "line 1: `query_id` is empty"),
        ("q1\t\n", "line 1: `document_id` is empty"),
        (f"q1\t{'x' * 513}\n", "line 1: `document_id` has 513 characters"),
        ("q\x02\td1\n", "line 1: `query_id` has the character U+0002"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place_and_remedy(tmp_path: Path, content: str, words: str) -> None:
    assert refusal(tmp_path / "run.trec", content).startswith(f"{tmp_path}/run.trec, {words}")


@pytest.mark.parametrize(
    "given_candidates",
    [
        [("q1", "d1"), ("q1", "d2")],
        iter([("q1", "d1", 0.5), ["q1", "d2", None]]),
        {"q1": ["d1", "d2"]},
        {"q1": {"d1": 0.5, "d2": 0.25}},
    ],
)
def test_python_values_are_read_like_lines(given_candidates: Any) -> None:
    assert list(read_candidate_values(given_candidates)) == TWO


def test_integers_are_ids_in_python_values() -> None:
    assert list(read_candidate_values([(1, 2)])) == [CandidateRow("1", "2", 1)]


@pytest.mark.parametrize(
    ("given_candidates", "words"),
    [
        ([("q1", "d1"), "q1 d1"], "<candidates>, item 2: it is not (query_id, document_id) or"),
        ([("q1", "d1"), ("q1",)], "<candidates>, item 2: it is not (query_id, document_id) or"),
        ([("q1", "d1"), ("q1", 0.5)], "<candidates>, item 2: `document_id` is a number, not a string"),
        ({"q1": "d1"}, "<candidates>, item 1: it is not (query_id, document_id) or"),
        ({}, "<candidates>: there is nothing in it"),
    ],
)
def test_a_wrong_python_value_is_refused_by_its_position(given_candidates: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        list(read_candidate_values(given_candidates))
    assert str(caught.value).startswith(words)


def test_a_hundred_thousand_lines_take_a_moment(tmp_path: Path) -> None:
    with (tmp_path / "run").open("w") as run, (tmp_path / "corpus").open("w") as corpus:
        for i in range(100_000):
            run.write(f"q{i // 100} Q0 document-{i} {i % 100 + 1} {100 - i % 100}.5 bm25\n")
            corpus.write(f'{{"_id": "document-{i}", "title": "Title", "text": "Text number {i}."}}\n')
    started = time.process_time()
    assert sum(1 for _ in read_candidates(tmp_path / "run")) == 100_000
    assert sum(1 for _ in read_documents(tmp_path / "corpus")) == 100_000
    assert time.process_time() - started < 3

"""Queries are read from JSONL and TSV alike; a file's first line says which it is."""

from pathlib import Path
from typing import Any

import pytest

from rankmill.db.records.inputs import QueryRow
from rankmill.producer.errors import InputError
from rankmill.producer.sources.queries import read_queries, read_query_values

TWO = [QueryRow("a", "what is it?", 1), QueryRow("2", "who, then?", 2)]


def read(path: Path, content: str) -> list[QueryRow]:
    path.write_text(content)
    return list(read_queries(path))


def refusal(path: Path, content: str) -> str:
    with pytest.raises(InputError) as caught:
        read(path, content)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        '{"_id": "a", "text": "what is it?", "metadata": {}}\n{"id": 2, "text": "who, then?"}\n',
        "a\twhat is it?\n2\twho, then?\n",
        "a\twhat is it?\r\n2\twho, then?",
        "\ufeffa\twhat is it?\n2\twho, then?\n",
    ],
)
def test_jsonl_and_tsv_give_the_same_queries_whatever_the_name(tmp_path: Path, content: str) -> None:
    assert read(tmp_path / "queries", content) == TWO


@pytest.mark.parametrize("header", ["query_id\ttext", "query-id\ttext", "QID\tQuery", "id\ttext"])
def test_a_header_line_of_a_tsv_is_skipped(tmp_path: Path, header: str) -> None:
    assert read(tmp_path / "q.tsv", f"{header}\nid\ttext\n") == [QueryRow("id", "text", 2)]


def test_blank_lines_before_the_first_query_decide_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "q", '\n\n  {"id": "a", "text": "b"}\n') == [QueryRow("a", "b", 3)]


def test_texts_are_kept_as_given(tmp_path: Path) -> None:
    assert read(tmp_path / "q.tsv", "a\t  two  spaces \n") == [QueryRow("a", "  two  spaces ", 1)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a\tb\nc\td\te\n", "line 2: 3 columns where a TSV of queries has 2. Write id, tab, text; or JSONL"),
        ("a\tb\nc d\n", "line 2: 1 column where a TSV of queries has 2"),
        ('[{"id": "a", "text": "b"}]', "line 1: 1 column where a TSV of queries has 2"),
        ('a\tb\n{"id": "a", "text": "b"}\n', "line 2: 1 column where"),
        ('{"id": "a", "text": "b"}\nc\td\n', "line 2: not valid JSON: Expecting value at column 1. Fix"),
        ("a\t\n", "line 1: `text` is empty"),
        ("a\t \u00a0\n", "line 1: `text` is empty"),
        ("\tb\n", "line 1: `id` is empty"),
        ("a\x01\tb\n", "line 1: `id` has the character U+0001"),
        ('{"id": "a", "text": " "}', "line 1: `text` is empty"),
        ('{"id": "a", "query": "b"}', "line 1: there is no `text` field"),
        ('{"id": "a", "text": "\\ud800"}', "line 1: `text` has a lone surrogate"),
        ('{"id": false, "text": "b"}', "line 1: `id` is a boolean"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place_and_remedy(tmp_path: Path, content: str, words: str) -> None:
    assert refusal(tmp_path / "q.tsv", content).startswith(f"{tmp_path}/q.tsv, {words}")


def test_a_header_alone_is_no_query(tmp_path: Path) -> None:
    assert "there are no queries below the header" in refusal(tmp_path / "q.tsv", "query_id\ttext\n")


@pytest.mark.parametrize(
    "given_queries",
    [
        {"a": "what is it?", "2": "who, then?"},
        [("a", "what is it?"), (2, "who, then?")],
        iter([{"id": "a", "text": "what is it?"}, {"_id": 2, "text": "who, then?"}]),
    ],
)
def test_python_values_are_read_like_lines(given_queries: Any) -> None:
    assert list(read_query_values(given_queries)) == TWO


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("text alone", "it is neither a mapping nor (id, text)"),
        (("a", "b", "c"), "it is neither a mapping nor (id, text)"),
        (("a", None), "`text` is null, not a string"),
        (("a", " "), "`text` is empty. Fix or remove this item."),
        ((None, "b"), "`id` is null, not a string or an integer"),
    ],
)
def test_a_wrong_python_value_is_refused_by_its_position(wrong: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        list(read_query_values([("good", "fine"), wrong]))
    assert str(caught.value).startswith(f"<queries>, item 2: {words}")

"""Documents are read as BEIR reads them, and refused with file, line and remedy when they cannot be."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankmill.db.records.inputs import DocumentRow
from rankmill.producer.errors import InputError
from rankmill.producer.sources.documents import read_document_values, read_documents

SPACES = " \t\n\u00a0\u2003"
texts = st.text(alphabet=st.sampled_from(SPACES + "aé🙂漢\u0301\u200b"), max_size=6)


def read(path: Path, *lines: str) -> list[DocumentRow]:
    path.write_text("".join(f"{line}\n" for line in lines))
    return list(read_documents(path))


def refusal(path: Path, *lines: str) -> str:
    with pytest.raises(InputError) as caught:
        read(path, *lines)
    return str(caught.value)


def test_beir_and_plain_lines_are_read_and_other_fields_ignored(tmp_path: Path) -> None:
    assert read(
        tmp_path / "corpus.jsonl",
        '{"_id": "a", "title": "A title", "text": "Some text.", "metadata": {"x": [NaN]}}',
        '{"id": "b", "text": "Plain."}',
        '{"id": 7, "title": null, "text": "No title."}',
        '{"id": "ignored", "_id": "c", "title": "", "text": "Empty title."}',
        '{"_id": "d e", "title": "Only a title", "text": ""}',
    ) == [
        DocumentRow("a", "A title Some text.", 8, 1),
        DocumentRow("b", "Plain.", 0, 2),
        DocumentRow("7", "No title.", 0, 3),
        DocumentRow("c", "Empty title.", 0, 4),
        DocumentRow("d e", "Only a title", 13, 5),
    ]


def test_gzip_is_read_whatever_the_name(tmp_path: Path) -> None:
    (tmp_path / "corpus").write_bytes(gzip.compress(b'{"id": "a", "text": "b"}'))
    assert list(read_documents(str(tmp_path / "corpus"))) == [DocumentRow("a", "b", 0, 1)]


@given(texts, texts)
def test_offsets_in_the_scored_text_lead_back_to_the_documents_own(title: str, text: str) -> None:
    beir = (title + " " + text).strip()
    if not beir:
        with pytest.raises(InputError, match="empty"):
            list(read_document_values([("d", title, text)]))
        return
    [row] = read_document_values([("d", title, text)])
    assert row.text == beir
    for start in range(len(beir)):
        own = start - row.text_offset
        if own >= 0:
            assert beir[start] == text[own]
        else:
            assert start < len(title) + 1


def test_leading_space_of_an_untitled_text_moves_the_offset_below_zero() -> None:
    assert list(read_document_values([("d", "  text ")])) == [DocumentRow("d", "text", -2, 1)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            '{"id": "a" "text": "b"}',
            "not valid JSON: Expecting ',' delimiter at column 12. Fix or remove this",
        ),
        ('{"id": "a", "text": "b', "not valid JSON: Unterminated string starting at column 21. Fix"),
        ('{"id": "a", "text": "\t"}', "not valid JSON: Invalid control character at column 22"),
        ('{"id": "a", "text": "b"} {}', "not valid JSON: Extra data at column 26"),
        ("[" * 100_000, "not valid JSON: nested too deeply"),
        ('{"id": ' + "9" * 5000 + "}", "not valid JSON: a number has too many digits"),
        ('[{"id": "a", "text": "b"}]', "the line is a list, not a JSON object. Write one object per line"),
        ('"text"', "the line is a string, not a JSON object"),
        ("null", "the line is null, not a JSON object"),
        ('{"text": "b"}', "there is no `_id` or `id` field"),
        ('{"id": "a"}', "there is no `text` field"),
        ('{"id": "a", "title": "t", "body": "b"}', "there is no `text` field"),
        ('{"id": "a", "text": null}', "`text` is null, not a string"),
        ('{"id": "a", "text": 1.5}', "`text` is a number, not a string"),
        ('{"id": "a", "text": ["b"]}', "`text` is a list, not a string"),
        ('{"id": "a", "text": "b", "title": {}}', "`title` is an object, not a string"),
        ('{"id": "a", "text": "b", "title": 3}', "`title` is a number, not a string"),
        ('{"id": "a", "text": ""}', "`text` is empty"),
        ('{"id": "a", "text": " \\n\\u00a0"}', "`text` is empty"),
        ('{"id": "a", "title": " ", "text": ""}', "title and text are both empty"),
        ('{"id": "a", "text": "b\\u0000"}', "`text` has a NUL (U+0000) at character 2. Remove it."),
        ('{"id": "a", "title": "\\u0000", "text": "b"}', "`title` has a NUL"),
        ('{"id": "a", "text": "b\\ud800c"}', "`text` has a lone surrogate (U+D800) at character 2"),
        ('{"id": "a", "text": "\\udc00"}', "`text` has a lone surrogate (U+DC00) at character 1"),
        ('{"id": true, "text": "b"}', "`id` is a boolean, not a string or an integer"),
        ('{"_id": 1.0, "text": "b"}', "`_id` is a number, not a string or an integer"),
        ('{"id": null, "text": "b"}', "`id` is null, not a string or an integer"),
        ('{"id": {}, "text": "b"}', "`id` is an object, not a string or an integer"),
        ('{"id": "", "text": "b"}', "`id` is empty"),
        ('{"id": "  ", "text": "b"}', "`id` is empty"),
        ('{"id": "a\\tb", "text": "b"}', "`id` has the character U+0009, which an id cannot hold"),
        ('{"id": "a\\nb", "text": "b"}', "`id` has the character U+000A"),
        ('{"id": "a\\u0000", "text": "b"}', "`id` has the character U+0000"),
        ('{"id": "a\\u0085", "text": "b"}', "`id` has the character U+0085"),
        ('{"id": "a\\u2028", "text": "b"}', "`id` has the character U+2028"),
        ('{"id": "\\ud83d", "text": "b"}', "`id` has the character U+D83D"),
        (json.dumps({"id": "x" * 513, "text": "b"}), "`id` has 513 characters; an id has at most 512"),
    ],
)
def test_a_wrong_line_is_refused_with_its_place_and_remedy(tmp_path: Path, line: str, words: str) -> None:
    said = refusal(tmp_path / "corpus.jsonl", '{"id": "good", "text": "fine"}', line)
    assert said.startswith(f"{tmp_path}/corpus.jsonl, line 2: {words}")


@pytest.mark.parametrize("id_", ["a b", "x" * 512, "é漢🙂", "a\u200db", "a\u00a0b", "-", '"', "\ue000"])
def test_an_unusual_id_is_kept_as_it_is(tmp_path: Path, id_: str) -> None:
    [row] = read(tmp_path / "corpus.jsonl", json.dumps({"id": id_, "text": "b"}))
    assert row.document_id == id_


def test_texts_are_not_normalised(tmp_path: Path) -> None:
    composed, decomposed = "é", "e\u0301"
    rows = read(
        tmp_path / "corpus.jsonl",
        json.dumps({"id": 1, "text": composed}),
        json.dumps({"id": 2, "text": f"{decomposed}\u200b\x07"}, ensure_ascii=False).replace(
            "\x07", "\\u0007"
        ),
    )
    assert [row.text for row in rows] == [composed, f"{decomposed}\u200b\x07"]


def test_no_refusal_repeats_the_text(tmp_path: Path) -> None:
    for line in ('{"id": "a", "text": "SECRET\\u0000"}', '{"id": "a", "text": "SECRET"', '["SECRET"]'):
        assert "SECRET" not in refusal(tmp_path / "corpus.jsonl", line)


@pytest.mark.parametrize(
    "given_documents",
    [
        [("a", "one"), ("2", "Title", "two")],
        [{"id": "a", "text": "one"}, {"_id": 2, "title": "Title", "text": "two", "extra": object()}],
        (
            {"id": id_, "title": title, "text": text}
            for id_, title, text in [("a", "", "one"), (2, "Title", "two")]
        ),
    ],
)
def test_python_values_are_read_like_lines(given_documents: Any) -> None:
    assert list(read_document_values(given_documents)) == [
        DocumentRow("a", "one", 0, 1),
        DocumentRow("2", "Title two", 6, 2),
    ]


def test_a_mapping_from_id_to_text_is_documents() -> None:
    assert list(read_document_values({"a": "one", "b": "two"})) == [
        DocumentRow("a", "one", 0, 1),
        DocumentRow("b", "two", 0, 2),
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("text alone", "it is neither a mapping nor (id, text) nor (id, title, text)"),
        (("a",), "it is neither a mapping"),
        (None, "it is neither a mapping"),
        (("a", "b\0"), "`text` has a NUL"),
        (("a", "\ud800"), "`text` has a lone surrogate (U+D800) at character 1"),
        (("a", b"bytes"), "`text` is of type bytes, not a string"),
        ((1.0, "b"), "`id` is a number, not a string or an integer"),
        ({"id": "a"}, "there is no `text` field. Fix or remove this item."),
    ],
)
def test_a_wrong_python_value_is_refused_by_its_position(wrong: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        list(read_document_values([("good", "fine"), wrong]))
    assert str(caught.value).startswith(f"<documents>, item 2: {words}")


def test_no_python_values_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="<documents>: there is nothing in it"):
        list(read_document_values([]))

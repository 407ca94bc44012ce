"""Whatever bytes a file holds, a reader gives right rows or one InputError with its place: no traceback."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankmill.db.records.inputs import CandidateRow, DocumentRow, QueryRow
from rankmill.producer.errors import InputError
from rankmill.producer.sources.candidates import read_candidate_values, read_candidates
from rankmill.producer.sources.documents import read_document_values, read_documents
from rankmill.producer.sources.queries import read_queries, read_query_values
from tests.support.inputs.fuzzing import NUM_CASES

MAX_LINE_BYTES = 2048

Row = DocumentRow | QueryRow | CandidateRow
Reader = Callable[..., Iterator[Row]]

names = st.sampled_from(["_id", "id", "title", "text", "other"])
oddities = st.sampled_from("\0\t\n\r \u2028\ud800\udfff\ufeff🙂")
strings = st.lists(st.text(max_size=4) | oddities, max_size=5).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.builds(
    lambda value, is_ascii: json.dumps(value, ensure_ascii=is_ascii).encode(errors="surrogatepass"),
    st.dictionaries(names, values, max_size=4)
    | st.fixed_dictionaries({"id": strings, "text": strings})
    | st.fixed_dictionaries({"_id": st.sampled_from(["a", "b", 7]), "text": strings, "title": strings}),
    st.booleans(),
)
columns = st.builds(
    lambda cells, separator: separator.join(cells).encode(errors="surrogatepass"),
    st.lists(strings | st.sampled_from(["q1", "d1", "Q0", "1", "0.5", "query-id", "corpus-id"]), max_size=7),
    st.sampled_from(["\t", " "]),
)
line = objects | columns | st.binary(max_size=40) | st.just(b"x" * (MAX_LINE_BYTES + 1))
files = st.builds(
    lambda start, lines, end: start + end.join(lines),
    st.sampled_from([b"", b"\xef\xbb\xbf", b"\x1f\x8b\x08", b"\xff\xfe"]),
    st.lists(line, max_size=8),
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r"]),
)


def cut_gzip(raw: bytes, keep: int, flip: int) -> bytes:
    compressed = bytearray(gzip.compress(raw, mtime=0)[:keep])
    if compressed and flip:
        compressed[flip % len(compressed)] ^= 0x55
    return bytes(compressed)


ids = st.sampled_from(["a", "b", 7])
python_values = (
    values | st.tuples(values, values) | st.tuples(ids, strings) | st.tuples(ids, strings, strings)
)
archives = st.builds(cut_gzip, files, st.integers(0, 400), st.integers(0, 60))


def check(row: Row) -> None:
    ids = [row.query_id, row.document_id] if isinstance(row, CandidateRow) else [row[0]]
    for id_ in ids:
        assert 0 < len(id_) <= 512
        assert not set(id_) & set("\0\t\n\r\x0b\x0c\x85\u2028")
        id_.encode()
    if not isinstance(row, CandidateRow):
        assert row.text.strip()
        assert "\0" not in row.text
        row.text.encode()
    if isinstance(row, DocumentRow):
        assert row.text == row.text.strip()


@pytest.mark.parametrize("reader", [read_documents, read_queries, read_candidates])
@settings(max_examples=NUM_CASES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=files | archives | st.binary(max_size=200))
def test_any_bytes_are_rows_or_one_clear_refusal(tmp_path: Path, reader: Reader, raw: bytes) -> None:
    path = tmp_path / "input"
    path.write_bytes(raw)
    last_line, refused = 0, None
    try:
        for row in reader(path, max_line_bytes=MAX_LINE_BYTES):
            check(row)
            assert row.line > last_line
            last_line = row.line
    except InputError as error:
        refused = error
    if refused is None:
        assert last_line, "an input without rows was not refused"
    else:
        assert refused.path == str(path)
        assert refused.line is None or refused.line > last_line
        assert str(refused).endswith(".")
        str(refused).encode()


@pytest.mark.parametrize("reader", [read_document_values, read_query_values, read_candidate_values])
@settings(max_examples=NUM_CASES, deadline=None)
@given(given_rows=st.lists(python_values, max_size=4))
def test_any_python_values_are_rows_or_one_clear_refusal(reader: Reader, given_rows: list[object]) -> None:
    num_rows, refused = 0, None
    try:
        for row in reader(given_rows):
            check(row)
            num_rows += 1
    except InputError as error:
        refused = error
    if refused is None:
        assert num_rows == len(given_rows) > 0
    else:
        assert refused.line in (None, num_rows + 1)
        str(refused).encode()

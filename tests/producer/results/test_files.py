"""Results come out whole or not at all, in every form, and say clearly why they cannot."""

import csv
import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rankmill.db.records.results import ResultRow, Span
from rankmill.producer.errors import MissingPrerequisite, UsageError
from rankmill.producer.results import formats
from rankmill.producer.results.files import WriteResult, plan_output, write_results
from tests.support.processes.people import as_ordinary_person

SCORED = ResultRow("q1", "d1", 1, 0.75, 1.0986123085021973, 3, 17, 40, 2, False, True, True, None)
UNICODE = ResultRow("q1", "документ,«2»", 2, 0.5, 0.0, 0, 5, 9, 1, True, False, False, None)
FAILED = ResultRow(
    "q1", "d3", None, None, None, None, None, None, None, None, None, False, "too long, by 3 tokens"
)
ROWS = [SCORED, UNICODE, FAILED]
SPANS = (Span(3, 9, 0.75, 1.0986123085021973), Span(11, 17, 0.5, 0.0))
SPANS_AS_OBJECTS = [
    {"start": 3, "end": 9, "score": 0.75, "logit": 1.0986123085021973},
    {"start": 11, "end": 17, "score": 0.5, "logit": 0.0},
]


def write(path: Path, rows: list[ResultRow] | Iterator[ResultRow], format: str | None = None) -> WriteResult:
    return write_results(rows, plan_output(path, format))


def left_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def many_rows(num_rows: int) -> Iterator[ResultRow]:
    return (SCORED._replace(document_id=f"d{i}", rank=i + 1) for i in range(num_rows))


def test_a_json_line_is_the_contracts(tmp_path: Path) -> None:
    assert write(tmp_path / "out.jsonl", ROWS) == WriteResult(num_pairs=3, num_left_out=0, is_cut_short=False)
    assert (tmp_path / "out.jsonl").read_text().splitlines() == [
        '{"query_id": "q1", "document_id": "d1", "rank": 1, "score": 0.75, "logit": 1.0986123085021973, '
        '"span": {"start": 3, "end": 17}, "num_tokens": 40, "num_windows": 2, '
        '"truncated": false, "query_truncated": true, "reused": true}',
        '{"query_id": "q1", "document_id": "документ,«2»", "rank": 2, "score": 0.5, "logit": 0.0, '
        '"span": {"start": 0, "end": 5}, "num_tokens": 9, "num_windows": 1, '
        '"truncated": true, "query_truncated": false, "reused": false}',
        '{"query_id": "q1", "document_id": "d3", "rank": null, "score": null, "logit": null, "span": null, '
        '"num_tokens": null, "num_windows": null, "truncated": null, "query_truncated": null, '
        '"reused": false, "error": "too long, by 3 tokens"}',
    ]


def test_csv_has_flat_columns_and_leaves_empty_what_failed_pairs_lack(tmp_path: Path) -> None:
    write(tmp_path / "out.csv", ROWS)
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(ResultRow._fields)
    assert (rows[0]["span_start"], rows[0]["reused"]) == ("3", "true")
    assert rows[1]["document_id"] == "документ,«2»"
    assert rows[2] | {"error": ""} == dict.fromkeys(ResultRow._fields, "") | {
        "query_id": "q1",
        "document_id": "d3",
        "reused": "false",
    }


def test_parquet_keeps_types_and_values(tmp_path: Path) -> None:
    write(tmp_path / "out.parquet", ROWS)
    table = pq.read_table(tmp_path / "out.parquet")
    assert [ResultRow(**row | {"spans": tuple(row["spans"])}) for row in table.to_pylist()] == ROWS
    assert str(table.schema.field("logit").type) == "float"


def test_spans_are_a_list_of_objects_and_in_csv_the_same_list_in_one_cell(tmp_path: Path) -> None:
    rows = [SCORED._replace(spans=SPANS), UNICODE, FAILED]
    for ending in ("jsonl", "csv", "parquet"):
        write(tmp_path / f"out.{ending}", rows)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line.get("spans") for line in lines] == [SPANS_AS_OBJECTS, None, None]
    with (tmp_path / "out.csv").open(newline="") as file:
        cells = [row["spans"] for row in csv.DictReader(file)]
    assert (json.loads(cells[0]), cells[1:]) == (SPANS_AS_OBJECTS, ["", ""])
    column = pq.read_table(tmp_path / "out.parquet").column("spans")
    assert column.to_pylist() == [SPANS_AS_OBJECTS, [], []]
    assert str(column.type.value_type.field("logit").type) == "float"


def test_parquet_is_written_one_row_group_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "ROW_GROUP_ROWS", 100)
    write(tmp_path / "out.parquet", many_rows(250))
    assert pq.ParquetFile(tmp_path / "out.parquet").metadata.num_row_groups == 3


def test_a_trec_run_carries_logits_and_counts_the_failed_pairs_it_leaves_out(tmp_path: Path) -> None:
    written = write(tmp_path / "out.trec", ROWS)
    assert written == WriteResult(num_pairs=2, num_left_out=1, is_cut_short=False)
    assert (tmp_path / "out.trec").read_text().splitlines() == [
        "q1 Q0 d1 1 1.0986123085021973 rankmill",
        "q1 Q0 документ,«2» 2 0.0 rankmill",
    ]


def test_a_trec_run_keeps_the_order_of_logits_that_differ_in_the_last_bit(tmp_path: Path) -> None:
    high = 40.0
    (low,) = struct.unpack("f", struct.pack("I", struct.unpack("I", struct.pack("f", high))[0] - 1))
    write(tmp_path / "out.run", [SCORED._replace(rank=i, logit=logit) for i, logit in ((1, high), (2, low))])
    first, second = (float(line.split()[4]) for line in (tmp_path / "out.run").read_text().splitlines())
    assert first > second


@pytest.mark.parametrize("id_", ["a b", "a\u3000b", "a\u00a0b"])
def test_a_trec_run_refuses_ids_with_white_space_and_leaves_nothing(tmp_path: Path, id_: str) -> None:
    with pytest.raises(UsageError, match=r"white space\. Use --format jsonl"):
        write(tmp_path / "out.trec", [SCORED, SCORED._replace(document_id=id_)])
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("format", ["jsonl", "csv", "trec"])
def test_a_name_ending_in_gz_is_compressed_and_the_same_results_are_the_same_bytes(
    tmp_path: Path, format: str
) -> None:
    for name in ("one", "two", "plain"):
        write(tmp_path / f"{name}.{format}{'.gz' * (name != 'plain')}", ROWS)
    one = (tmp_path / f"one.{format}.gz").read_bytes()
    assert one == (tmp_path / f"two.{format}.gz").read_bytes()
    assert gzip.decompress(one) == (tmp_path / f"plain.{format}").read_bytes()


@pytest.mark.parametrize("format", ["jsonl", "csv", "trec", "parquet"])
def test_no_rows_make_a_readable_file(tmp_path: Path, format: str) -> None:
    assert write(tmp_path / f"out.{format}", []).num_pairs == 0
    if format == "parquet":
        assert pq.read_table(tmp_path / "out.parquet").num_rows == 0
    else:
        assert len((tmp_path / f"out.{format}").read_text().splitlines()) == (format == "csv")


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("a.jsonl", None, "jsonl"),
        ("a.NDJSON.GZ", None, "jsonl"),
        ("a.csv.gz", None, "csv"),
        ("a.pq", None, "parquet"),
        ("a.run", None, "trec"),
        ("a.csv", "jsonl", "jsonl"),
        ("no-ending", "trec", "trec"),
        ("-", None, "jsonl"),
        ("-", "csv", "csv"),
    ],
)
def test_the_ending_tells_the_format_unless_one_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, format: str | None, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    output = plan_output(name, format)
    assert (output.format, output.is_gzip, output.path is None) == (
        expected,
        name.lower().endswith(".gz"),
        name == "-",
    )


@pytest.mark.parametrize(
    ("name", "format", "words"),
    [
        ("out.xlsx", None, "does not tell its format.*--format jsonl|csv|parquet|trec"),
        ("out", None, "does not tell its format"),
        ("out.jsonl", "xml", "no format 'xml'. Choose from: jsonl, csv, parquet, trec"),
        ("out.parquet.gz", None, "Leave out .gz"),
        ("missing/out.jsonl", None, "mkdir -p"),
        ("folder.csv", None, "is a folder"),
    ],
)
def test_a_wish_that_cannot_work_is_refused_before_any_work(
    tmp_path: Path, name: str, format: str | None, words: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=words):
        plan_output(tmp_path / name, format)


def test_a_folder_without_permission_is_refused_before_any_work(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with as_ordinary_person(), pytest.raises(UsageError, match="No permission to write"):
        plan_output(tmp_path / "out.jsonl")
    tmp_path.chmod(0o700)


def test_parquet_without_pyarrow_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingPrerequisite, match=r"pip install 'rankmill\[parquet\]'"):
        plan_output(tmp_path / "out.parquet")

"""The formats of results: what a row looks like in JSONL, CSV, Parquet and a TREC run.

Writes to an open byte stream; knows nothing of paths, folders or renaming.
"""

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import islice
from typing import BinaryIO

from rankmill.db.records.results import ResultRow, Span
from rankmill.producer.errors import UsageError

ROW_GROUP_ROWS = 2**16
TREC_TAG = "rankmill"

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class ResultFormat(StrEnum):
    """Formats of a results file; its extension tells which, unless one is given."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    TREC = "trec"


def write_jsonl(rows: Iterable[ResultRow], stream: BinaryIO) -> None:
    """One object a line. The span is an object of [start, end); failed pairs have `error` and nulls."""
    for row in rows:
        stream.write(f"{_encode(_line(row))}\n".encode())


def write_csv(rows: Iterable[ResultRow], stream: BinaryIO) -> None:
    """A header and one row a pair, with the span in two columns; cells that a failed pair lacks are empty.

    The spans of `--spans` are in one cell, written as in JSONL: so a row is always one pair, and the columns
    are always the same.
    """
    writer = csv.writer(_Utf8(stream), lineterminator="\n")
    writer.writerow(ResultRow._fields)
    for row in rows:
        cells = [_true_or_false(value) if isinstance(value, bool) else value for value in row[:-1]]
        writer.writerow([*cells, _encode(_spans(row.spans)) if row.spans else None])


def write_trec(rows: Iterable[ResultRow], stream: BinaryIO) -> None:
    """`query_id Q0 document_id rank logit rankmill`: all digits of the logit, because scores near 1 tie.

    Failed pairs have no rank and are left out. Raises UsageError for ids with white space.
    """
    for row in rows:
        if row.rank is not None:
            query_id, document_id = _trec_id(row.query_id), _trec_id(row.document_id)
            stream.write(f"{query_id} Q0 {document_id} {row.rank} {row.logit!r} {TREC_TAG}\n".encode())


def write_parquet(rows: Iterable[ResultRow], stream: BinaryIO) -> None:
    """The columns of the CSV, typed. Spans are a list, empty where there are none.

    One row group at a time is in memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    span = pa.struct(
        [("start", pa.int32()), ("end", pa.int32()), ("score", pa.float64()), ("logit", pa.float32())]
    )
    schema = pa.schema(
        [
            pa.field("query_id", pa.string(), nullable=False),
            pa.field("document_id", pa.string(), nullable=False),
            ("rank", pa.int32()),
            ("score", pa.float64()),
            ("logit", pa.float32()),
            ("span_start", pa.int32()),
            ("span_end", pa.int32()),
            ("num_tokens", pa.int32()),
            ("num_windows", pa.int32()),
            ("truncated", pa.bool_()),
            ("query_truncated", pa.bool_()),
            pa.field("reused", pa.bool_(), nullable=False),
            ("error", pa.string()),
            pa.field("spans", pa.list_(span), nullable=False),
        ]
    )
    assert schema.names == list(ResultRow._fields)
    remaining = iter(rows)
    with pq.ParquetWriter(pa.PythonFile(stream, mode="w"), schema) as writer:
        while group := list(islice(remaining, ROW_GROUP_ROWS)):
            *columns, spans = zip(*group, strict=True)
            typed = zip([*columns, map(_spans, spans)], schema.types, strict=True)
            arrays = [pa.array(values, type=type_) for values, type_ in typed]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


WRITERS: dict[ResultFormat, Callable[[Iterable[ResultRow], BinaryIO], None]] = {
    ResultFormat.JSONL: write_jsonl,
    ResultFormat.CSV: write_csv,
    ResultFormat.PARQUET: write_parquet,
    ResultFormat.TREC: write_trec,
}


def _line(row: ResultRow) -> dict[str, object]:
    line: dict[str, object] = {
        "query_id": row.query_id,
        "document_id": row.document_id,
        "rank": row.rank,
        "score": row.score,
        "logit": row.logit,
        "span": None if row.span_start is None else {"start": row.span_start, "end": row.span_end},
        "num_tokens": row.num_tokens,
        "num_windows": row.num_windows,
        "truncated": row.truncated,
        "query_truncated": row.query_truncated,
        "reused": row.reused,
    }
    if row.error is not None:
        line["error"] = row.error
    if row.spans:
        line["spans"] = _spans(row.spans)
    return line


def _spans(spans: Sequence[Span]) -> list[dict[str, float]]:
    return [span._asdict() for span in spans]


def _true_or_false(flag: bool) -> str:
    return "true" if flag else "false"


def _trec_id(id_: str) -> str:
    if len(id_.split()) != 1:
        raise UsageError(
            f"A TREC run cannot hold the id {id_!r}: it has white space. Use --format jsonl, csv or parquet."
        )
    return id_


class _Utf8:
    """What csv needs of a text stream, over bytes. A TextIOWrapper would close the stream with itself."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text.encode())

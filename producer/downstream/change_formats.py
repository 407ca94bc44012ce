"""The formats of a ranking's changes: a JSON object a line, bulk lines of OpenSearch, operations of Vespa.

Turns changes into bytes; knows no file, server or store. Applying a change twice, or an older one late,
does no harm: OpenSearch and Elasticsearch compare the cursor as an external version, Vespa by a condition.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import BinaryIO

from rankmill.db.records.rankings import Change, ChangeRow

ROW_GROUP_ROWS = 2**16


class ChangeFormat(StrEnum):
    """Formats of a ranking's changes."""

    JSONL = "jsonl"
    OPENSEARCH = "opensearch"
    VESPA = "vespa"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where operations go: an index of OpenSearch, or a namespace and document type of Vespa."""

    index: str | None = None
    namespace: str = "rankmill"
    document_type: str = "ranking"


Encode = Callable[[ChangeRow], bytes]


def document_id(row: ChangeRow) -> str:
    """The id of a pair in an index: the same in every publication, and valid in any index and any URL.

    The first 32 hex digits of the SHA-256 of the query's id, a NUL and the document's id.
    """
    return hashlib.sha256(f"{row.query_id}\0{row.document_id}".encode()).hexdigest()[:32]


def as_jsonl(row: ChangeRow) -> bytes:
    """One object a line with all that the feed says of the change."""
    line: dict[str, object] = {"cursor": row.cursor, "change": row.change.value, "id": document_id(row)}
    line |= {"query_id": row.query_id, "document_id": row.document_id}
    if row.change is not Change.REMOVED:
        line |= fields_of(row)
    return encoded(line | {"publication_id": row.publication_id, "changed_at": row.changed_at})


def opensearch_encoder(target: Target) -> Encode:
    """Bulk lines for OpenSearch and Elasticsearch: `index` or `delete` under an external version."""
    place = {} if target.index is None else {"_index": target.index}

    def encode(row: ChangeRow) -> bytes:
        action = place | {
            "_id": document_id(row),
            "version": row.cursor,
            "version_type": "external",
        }
        if row.change is Change.REMOVED:
            return encoded({"delete": action})
        return encoded({"index": action}) + encoded(indexed(row))

    return encode


def vespa_encoder(target: Target) -> Encode:
    """Operations for `vespa feed`: a put or a remove of one document."""

    def encode(row: ChangeRow) -> bytes:
        name = f"id:{target.namespace}:{target.document_type}::{document_id(row)}"
        kind = "remove" if row.change is Change.REMOVED else "put"
        operation: dict[str, object] = {kind: name, "condition": vespa_condition(target, row)}
        if kind == "put":
            operation |= {"create": True, "fields": vespa_fields(row)}
        return encoded(operation)

    return encode


def vespa_condition(target: Target, row: ChangeRow) -> str:
    """The condition under which this change is newer than the document."""
    return f"{target.document_type}.cursor < {row.cursor}"


def vespa_fields(row: ChangeRow) -> dict[str, object]:
    """The fields of a Vespa document: flat and without nulls, which attributes cannot hold."""
    flat = {
        "query_id": row.query_id,
        "document_id": row.document_id,
        "rank": row.rank,
        "score": row.score,
        "logit": row.logit,
        "span_start": row.span_start,
        "span_end": row.span_end,
        "error": row.error,
        "cursor": row.cursor,
    }
    return {name: value for name, value in flat.items() if value is not None}


def indexed(row: ChangeRow) -> dict[str, object]:
    """The fields of an OpenSearch document."""
    return {"query_id": row.query_id, "document_id": row.document_id, **fields_of(row), "cursor": row.cursor}


def fields_of(row: ChangeRow) -> dict[str, object]:
    """What both the feed and an index say of a pair."""
    span = None if row.span_start is None else {"start": row.span_start, "end": row.span_end}
    fields: dict[str, object] = {"rank": row.rank, "score": row.score, "logit": row.logit, "span": span}
    return fields if row.error is None else fields | {"error": row.error}


def encoded(line: object) -> bytes:
    return json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def encoder(format_: ChangeFormat, target: Target) -> Encode:
    """What writes one change in a format of lines."""
    if format_ is ChangeFormat.OPENSEARCH:
        return opensearch_encoder(target)
    return vespa_encoder(target) if format_ is ChangeFormat.VESPA else as_jsonl


def write_lines(rows: Iterable[ChangeRow], stream: BinaryIO, encode: Encode) -> int:
    """Writes each change; returns the last cursor, 0 when there was no change."""
    last = 0
    for row in rows:
        stream.write(encode(row))
        last = row.cursor
    return last


def write_parquet(rows: Iterable[ChangeRow], stream: BinaryIO) -> int:
    """Writes the columns of the `changes` view, typed; one row group at a time is in memory.

    Returns the last cursor, 0 when there was no change.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            pa.field("cursor", pa.int64(), nullable=False),
            pa.field("change", pa.string(), nullable=False),
            pa.field("query_id", pa.string(), nullable=False),
            pa.field("document_id", pa.string(), nullable=False),
            ("rank", pa.int32()),
            ("score", pa.float64()),
            ("logit", pa.float32()),
            ("span_start", pa.int32()),
            ("span_end", pa.int32()),
            ("error", pa.string()),
            pa.field("publication_id", pa.int32(), nullable=False),
            pa.field("changed_at", pa.float64(), nullable=False),
        ]
    )
    assert schema.names == list(ChangeRow._fields)
    last, remaining = 0, iter(rows)
    with pq.ParquetWriter(pa.PythonFile(stream, mode="w"), schema) as writer:
        while group := list(islice(remaining, ROW_GROUP_ROWS)):
            columns = zip(zip(*group, strict=True), schema.types, strict=True)
            arrays = [pa.array(values, type=type_) for values, type_ in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            last = group[-1].cursor
    return last

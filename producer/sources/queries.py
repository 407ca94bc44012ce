"""Queries: JSONL or TSV lines, or Python values, become the texts that documents are ranked for.

A file is JSONL (`_id` or `id`, `text`; other fields are ignored) if its first line starts with `{`, else TSV:
id, tab, text. The header line of a TSV (such as `query_id`, tab, `text`) is skipped. Texts are kept as given.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rankmill.db.records.inputs import QueryRow
from rankmill.producer.errors import InputError
from rankmill.producer.sources.fields import (
    InvalidValue,
    checked_id,
    checked_text,
    id_of,
    json_object,
    numbered,
    text_of,
)
from rankmill.producer.sources.lines import MAX_LINE_BYTES, FilePath, read_lines

QueryLike = Mapping[str, Any] | tuple[str | int, str]
QueryValues = Iterable[QueryLike] | Mapping[str, str]

_HEADERS = {"id", "_id", "qid", "query_id"}, {"text", "query"}


def read_queries(path: FilePath, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[QueryRow]:
    """Yields every query of a JSONL or TSV file, plain or gzip, in its order.

    Raises InputError at the first wrong line, and when there are no queries.
    """
    name = os.fspath(path)
    is_empty = True
    for row in _rows(_records(path, name, max_line_bytes), name):
        yield row
        is_empty = False
    if is_empty:
        raise InputError(name, None, "there are no queries below the header", "Add some.")


def read_query_values(values: QueryValues) -> Iterator[QueryRow]:
    """Yields every query of a mapping from id to text, or of an iterable of mappings (`_id` or `id`,
    `text`) or tuples (id, text).

    Raises InputError at the first wrong one, and when there are none.
    """
    given = values.items() if isinstance(values, Mapping) else values
    return _rows(numbered(given, "<queries>"), "<queries>")


def _rows(given: Iterable[tuple[int, object]], name: str) -> Iterator[QueryRow]:
    for line_no, value in given:
        try:
            yield _row(value, line_no)
        except InvalidValue as invalid:
            raise invalid.at(name, line_no) from None


def _records(path: FilePath, name: str, max_line_bytes: int) -> Iterator[tuple[int, object]]:
    is_jsonl: bool | None = None
    for line_no, line in read_lines(path, max_line_bytes):
        is_first = is_jsonl is None
        if is_jsonl is None:
            is_jsonl = line.lstrip().startswith("{")
        try:
            if is_jsonl:
                yield line_no, json_object(line)
                continue
            columns = _columns(line)
        except InvalidValue as invalid:
            raise invalid.at(name, line_no) from None
        if not (is_first and _is_header(columns)):
            yield line_no, columns


def _columns(line: str) -> tuple[str, ...]:
    columns = tuple(line.split("\t"))
    if len(columns) != 2:
        raise InvalidValue(
            f"{len(columns)} column{'s' * (len(columns) != 1)} where a TSV of queries has 2",
            "Write id, tab, text; or JSONL: the first line decides, and starts with { there.",
        )
    return columns


def _is_header(columns: tuple[str, ...]) -> bool:
    return all(
        column.strip().lower().replace("-", "_") in names
        for column, names in zip(columns, _HEADERS, strict=True)
    )


def _row(value: object, line: int) -> QueryRow:
    if isinstance(value, Mapping):
        query_id, text = id_of(value), text_of(value, "text")
    elif isinstance(value, tuple | list) and len(value) == 2:
        query_id, text = checked_id(value[0], "id"), checked_text(value[1], "text")
    else:
        raise InvalidValue("it is neither a mapping nor (id, text)")
    if not text or text.isspace():
        raise InvalidValue("`text` is empty")
    return QueryRow(query_id, text, line)

"""Documents: JSONL lines or Python values become the texts that are scored.

The fields are `_id` or `id`, `title` and `text`, as in BEIR; only the title may be absent, and other fields
are ignored. The scored text is (title + " " + text).strip(), as BEIR's rerankers read it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rankmill.db.records.inputs import DocumentRow
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

DocumentLike = Mapping[str, Any] | tuple[str | int, str] | tuple[str | int, str, str]
DocumentValues = Iterable[DocumentLike] | Mapping[str, str]


def read_documents(path: FilePath, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[DocumentRow]:
    """Yields every document of a JSONL file, plain or gzip, in its order.

    Raises InputError at the first wrong line, and when there are no lines.
    """
    for line_no, line in read_lines(path, max_line_bytes):
        try:
            yield _row(json_object(line), line_no)
        except InvalidValue as invalid:
            raise invalid.at(os.fspath(path), line_no) from None


def read_document_values(values: DocumentValues) -> Iterator[DocumentRow]:
    """Yields every document of an iterable of mappings (the fields above) or tuples, (id, text) or
    (id, title, text); or of a mapping from id to text.

    Raises InputError at the first wrong one, and when there are none.
    """
    given = values.items() if isinstance(values, Mapping) else values
    for position, value in numbered(given, "<documents>"):
        try:
            yield _from_value(value, position)
        except InvalidValue as invalid:
            raise invalid.at("<documents>", position) from None


def _row(record: Mapping[str, Any], line: int) -> DocumentRow:
    title = record.get("title")
    return _joined(
        id_of(record), "" if title is None else checked_text(title, "title"), text_of(record, "text"), line
    )


def _from_value(value: object, position: int) -> DocumentRow:
    if isinstance(value, Mapping):
        return _row(value, position)
    if isinstance(value, tuple | list) and len(value) in (2, 3):
        document_id, *title, text = value
        return _joined(
            checked_id(document_id, "id"),
            checked_text(title[0], "title") if title else "",
            checked_text(text, "text"),
            position,
        )
    raise InvalidValue("it is neither a mapping nor (id, text) nor (id, title, text)")


def _joined(document_id: str, title: str, text: str, line: int) -> DocumentRow:
    whole = f"{title} {text}"
    left_stripped = whole.lstrip()
    scored = left_stripped.rstrip()
    if not scored:
        raise InvalidValue("title and text are both empty" if title else "`text` is empty")
    # Where the text starts in the scored text: negative when its leading space was stripped.
    text_offset = len(title) + 1 - (len(whole) - len(left_stripped))
    return DocumentRow(document_id, scored, text_offset, line)

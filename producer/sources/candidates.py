"""Candidates: a run of first-stage retrieval, or Python values, becomes the pairs to score.

A file is a TREC run (six columns separated by white space: query_id Q0 document_id rank score tag) or TSV
(query_id, document_id and perhaps a score). Its first line decides which; a header (`query-id`, `corpus-id`,
perhaps `score`) is skipped. A score that is no number is refused, because columns are shifted then; other
scores are ignored, because the cross-encoder makes the ranking.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from rankmill.db.records.inputs import CandidateRow
from rankmill.producer.errors import InputError
from rankmill.producer.sources.fields import InvalidValue, checked_id, numbered
from rankmill.producer.sources.lines import MAX_LINE_BYTES, FilePath, read_lines

CandidateValues = Iterable[tuple[object, ...]] | Mapping[str, Iterable[str]]

_TREC = "a TREC run has 6 (query_id Q0 document_id rank score tag)"
_FORMS = f"{_TREC}, a TSV has 2 or 3 (query_id, document_id, score) with tabs between."
_HEADERS = (
    {"query_id", "qid", "query", "topic_id"},
    {"corpus_id", "document_id", "doc_id", "docid", "docno", "did", "pid", "passage_id"},
)
_SPACE = re.compile(r"[ \t\f\v]+")


def read_candidates(path: FilePath, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[CandidateRow]:
    """Yields every candidate of a run file, plain or gzip, in its order.

    Raises InputError at the first wrong line, and when there are no candidates.
    """
    name, lines = os.fspath(path), read_lines(path, max_line_bytes)
    split: Callable[[str], list[str]] | None = None
    num_columns = document_column = score_column = 0
    num_candidates = line_no = 0
    try:
        for line_no, line in lines:
            if split is None:
                split, num_columns = _format_of(line)
                document_column, score_column = (2, 4) if num_columns == 6 else (1, 2)
                if _is_header(columns := split(line)):
                    continue
            columns = split(line)
            if len(columns) != num_columns:
                raise _uneven(len(columns), num_columns)
            if num_columns > 2:
                float(columns[score_column])
            yield CandidateRow(
                checked_id(columns[0], "query_id"),
                checked_id(columns[document_column], "document_id"),
                line_no,
            )
            num_candidates += 1
    except ValueError:
        problem = InvalidValue("the score is not a number", f"Check the columns: {_FORMS}")
        raise problem.at(name, line_no) from None
    except InvalidValue as invalid:
        raise invalid.at(name, line_no) from None
    if not num_candidates:
        raise InputError(name, None, "there are no candidates below the header", "Add some.")


def read_candidate_values(values: CandidateValues) -> Iterator[CandidateRow]:
    """Yields every candidate of an iterable of tuples (query_id, document_id) with or without a score, or
    of a mapping from query id to its document ids (or to a mapping of these to scores).

    Raises InputError at the first wrong one, and when there are none.
    """
    given = _flattened(values) if isinstance(values, Mapping) else values
    for position, value in numbered(given, "<candidates>"):
        try:
            if not isinstance(value, tuple | list) or len(value) not in (2, 3):
                raise InvalidValue("it is not (query_id, document_id) or (query_id, document_id, score)")
            yield CandidateRow(
                checked_id(value[0], "query_id"), checked_id(value[1], "document_id"), position
            )
        except InvalidValue as invalid:
            raise invalid.at("<candidates>", position) from None


def _format_of(line: str) -> tuple[Callable[[str], list[str]], int]:
    if line.lstrip().startswith(("{", "[")):
        raise InvalidValue("the line looks like JSON", f"Candidates are a table: {_FORMS}")
    by_tabs = _tab_columns(line)
    if len(by_tabs) in (2, 3):
        return _tab_columns, len(by_tabs)
    by_space = _space_columns(line)
    if len(by_space) == 6:
        return _space_columns, 6
    found = len(by_space)
    raise InvalidValue(
        f"{found} column{'s' * (found != 1)}, which is neither form of candidates", f"Fix it: {_FORMS}"
    )


def _tab_columns(line: str) -> list[str]:
    return line.split("\t")


def _space_columns(line: str) -> list[str]:
    # str.split() alone would split ids at no-break and ideographic spaces, which ids may have.
    return line.split() if line.isascii() else _SPACE.split(line.strip(" \t\f\v"))


def _uneven(found: int, expected: int) -> InvalidValue:
    return InvalidValue(f"{found} column{'s' * (found != 1)} where the first line has {expected}")


def _is_header(columns: list[str]) -> bool:
    return all(
        column.strip().lower().replace("-", "_") in names
        for column, names in zip(columns, _HEADERS, strict=False)
    )


def _flattened(values: Mapping[str, Iterable[str]]) -> Iterator[tuple[object, ...]]:
    for query_id, document_ids in values.items():
        if isinstance(document_ids, str) or not isinstance(document_ids, Iterable):
            yield (query_id,)
            continue
        for document_id in document_ids:
            yield query_id, document_id

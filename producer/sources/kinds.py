"""Which kind of source an input is: the one place that looks at what was given.

Another form of documents, queries or candidates is one more line in its function here.
"""

from collections.abc import Iterable
from functools import partial

from rankmill.db.records.inputs import CandidateRow, DocumentRow, QueryRow
from rankmill.db.submission.draft import Draft
from rankmill.producer.sources.candidates import CandidateValues, read_candidate_values, read_candidates
from rankmill.producer.sources.documents import DocumentValues, read_document_values, read_documents
from rankmill.producer.sources.file import FileSource
from rankmill.producer.sources.lines import MAX_LINE_BYTES, FilePath, is_path
from rankmill.producer.sources.queries import QueryValues, read_queries, read_query_values
from rankmill.producer.sources.source import Source, Staging
from rankmill.producer.sources.stored import AllPairs, Collection, QuerySet
from rankmill.producer.sources.values import ValueSource

DocumentInput = FilePath | DocumentValues | Collection
QueryInput = FilePath | QueryValues | QuerySet
CandidateInput = FilePath | CandidateValues


def documents_from(given: DocumentInput, max_line_bytes: int = MAX_LINE_BYTES) -> Source[Draft]:
    """The documents of a job."""
    return given if isinstance(given, Collection) else document_rows(given, max_line_bytes)


def queries_from(given: QueryInput, max_line_bytes: int = MAX_LINE_BYTES) -> Source[Draft]:
    """The queries of a job."""
    return given if isinstance(given, QuerySet) else query_rows(given, max_line_bytes)


def candidates_from(given: CandidateInput | None, max_line_bytes: int = MAX_LINE_BYTES) -> Source[Draft]:
    """The pairs of a job; None means all pairs."""
    if given is None:
        return AllPairs()
    if is_path(given):
        read = partial(read_candidates, given, max_line_bytes=max_line_bytes)
        return FileSource(given, read, _add_candidates)
    return ValueSource("<candidates>", partial(read_candidate_values, given), _add_candidates)


def document_rows(given: FilePath | DocumentValues, max_line_bytes: int = MAX_LINE_BYTES) -> Source[Staging]:
    """Documents that are read one by one, for a job or for a collection."""
    if is_path(given):
        read = partial(read_documents, given, max_line_bytes=max_line_bytes)
        return FileSource(given, read, _add_documents)
    return ValueSource("<documents>", partial(read_document_values, given), _add_documents)


def query_rows(given: FilePath | QueryValues, max_line_bytes: int = MAX_LINE_BYTES) -> Source[Staging]:
    """Queries that are read one by one, for a job or for a query set."""
    if is_path(given):
        read = partial(read_queries, given, max_line_bytes=max_line_bytes)
        return FileSource(given, read, _add_queries)
    return ValueSource("<queries>", partial(read_query_values, given), _add_queries)


def _add_documents(staging: Staging, documents: Iterable[DocumentRow]) -> None:
    staging.add_documents(documents)


def _add_queries(staging: Staging, queries: Iterable[QueryRow]) -> None:
    staging.add_queries(queries)


def _add_candidates(draft: Draft, candidates: Iterable[CandidateRow]) -> None:
    draft.add_candidates(candidates)

"""A draft: a job while its inputs are read. Nothing of it is visible until it is recorded.

Texts are stored in chunks while they are read: one that nothing points at is harmless. Everything else waits
in temporary tables and is recorded in one transaction. Memory is constant whatever is read.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

from sqlalchemy import Connection

from rankmill.db.corpus.collections import COLLECTIONS, QUERY_SETS, lock_named_set
from rankmill.db.corpus.texts import TextIdentity, store_texts, text_chunks, text_identity
from rankmill.db.errors import EmptyDraft
from rankmill.db.records.inputs import CandidateRow, DocumentRow, QueryRow
from rankmill.db.records.jobs import JobRequest, Submission
from rankmill.db.runtime.failpoints import reach
from rankmill.db.store.bulk import chunks, insert_rows, many, one_of, run
from rankmill.db.store.staging_session import InputSession
from rankmill.db.store.storable import check_id
from rankmill.db.store.store import Store
from rankmill.db.store.temporary_tables import analyze, check_distinct, create_index, restore_durability
from rankmill.db.submission.draft_tables import (
    check_known,
    create_draft_tables,
    number_pairs,
    take_documents,
    take_queries,
)
from rankmill.db.submission.record import record_draft
from rankmill.db.submission.sharding import Slicer
from rankmill.db.submission.token_estimates import text_tokens

CANDIDATES_PER_CHUNK = 20_000
QUERY_COLUMNS = ("query_no", "query_id", "digest", "text_id", "num_tokens", "line")
WANTED = "CREATE TEMPORARY TABLE draft_wanted AS SELECT DISTINCT document_id FROM draft_candidates"
DOCUMENT_COLUMNS = (
    "read_no",
    "document_id",
    "digest",
    "line",
    "text_offset",
    "document_no",
    "text_id",
    "num_tokens",
)
CANDIDATE_COLUMNS = ("query_id", "document_id", "line")


class Draft(InputSession):
    """A job being read: add queries first, then candidates (or use all pairs), then documents; then record.

    `num_duplicate_candidates` counts candidate lines that repeat a pair; it is known after check().
    """

    def __init__(self, store: Store, connection: Connection) -> None:
        super().__init__(store, connection)
        self.is_all_pairs = False
        self.is_checked = False
        self.num_queries = 0
        self.num_candidates = 0
        self.num_documents_read = 0
        self.num_documents = 0  # candidates among the documents read from files
        self.num_pairs = 0
        self.num_duplicate_candidates = 0
        self.in_transaction(create_draft_tables)

    def add_queries(self, queries: Iterable[QueryRow]) -> None:
        """Adds the queries, in order. Raises DuplicateId, UnstorableText."""
        for chunk in text_chunks(queries):
            self.add_query_chunk(chunk)
        self.in_transaction(self.check_queries)

    def add_query_chunk(self, chunk: list[QueryRow]) -> None:
        for row in chunk:
            check_id(row.query_id, "query")
        identities = [text_identity(row.text, f"the text of query {row.query_id!r}") for row in chunk]

        def store_chunk(connection: Connection) -> None:
            ids = store_texts(connection, dict(zip(identities, (row.text for row in chunk), strict=True)))
            rows = (
                (query_no, row.query_id, digest, ids[digest], text_tokens(num_bytes), row.line)
                for query_no, (row, (digest, num_bytes)) in enumerate(
                    zip(chunk, identities, strict=True), self.num_queries
                )
            )
            insert_rows(connection, "draft_queries", QUERY_COLUMNS, rows)

        self.in_transaction(store_chunk, writes=True)
        self.num_queries += len(chunk)

    def check_queries(self, connection: Connection) -> None:
        create_index(connection, "draft_query_ids", "draft_queries", "query_id")
        check_distinct(connection, "query", "draft_queries", "query_id", "query_no")

    def use_query_set(self, name: str) -> str:
        """Uses the queries of a query set as they are now; returns its identity. Raises UnknownName."""

        def take(connection: Connection) -> tuple[str, int]:
            query_set_id, identity = lock_named_set(connection, QUERY_SETS, name)
            return identity, take_queries(connection, query_set_id)

        identity, self.num_queries = self.in_transaction(take, writes=True)
        self.in_transaction(self.check_queries)
        return identity

    def use_collection(self, name: str) -> str:
        """Uses the documents of a collection as they are now; returns its identity. Raises UnknownName."""

        def take(connection: Connection) -> tuple[str, int]:
            collection_id, identity = lock_named_set(connection, COLLECTIONS, name)
            taken = take_documents(connection, collection_id, all_pairs=self.is_all_pairs)
            return identity, taken

        identity, self.num_documents_read = self.in_transaction(take, writes=True)
        self.in_transaction(self.check_documents)
        return identity

    def use_all_pairs(self) -> None:
        """Pairs every query with every document, instead of candidates."""
        self.is_all_pairs = True

    def add_candidates(self, candidates: Iterable[CandidateRow]) -> None:
        """Adds the pairs to score. Raises UnknownId for a query that was not added, UnstorableText."""
        for chunk in chunks(candidates, CANDIDATES_PER_CHUNK):
            for row in chunk:
                check_id(row.query_id, "query")
                check_id(row.document_id, "document")

            def store_chunk(connection: Connection, chunk: list[CandidateRow] = chunk) -> None:
                insert_rows(connection, "draft_candidates", CANDIDATE_COLUMNS, chunk)

            self.in_transaction(store_chunk)
            self.num_candidates += len(chunk)
        self.in_transaction(self.check_candidates)

    def check_candidates(self, connection: Connection) -> None:
        analyze(connection, "draft_candidates")
        check_known(connection, "query")
        run(connection, "DROP TABLE IF EXISTS draft_wanted")
        run(connection, WANTED)
        create_index(connection, "draft_wanted_ids", "draft_wanted", "document_id")

    def add_documents(self, documents: Iterable[DocumentRow]) -> None:
        """Adds the documents, in order. With candidates, only the texts of candidates are stored.

        Raises DuplicateId, UnstorableText.
        """
        for chunk in text_chunks(documents):
            self.add_document_chunk(chunk)
        self.in_transaction(self.check_documents)

    def check_documents(self, connection: Connection) -> None:
        create_index(connection, "draft_document_ids", "draft_documents", "document_id")
        check_distinct(connection, "document", "draft_documents", "document_id", "read_no")

    def add_document_chunk(self, chunk: list[DocumentRow]) -> None:
        for row in chunk:
            check_id(row.document_id, "document")
        wanted = self.in_transaction(lambda connection: self.wanted(connection, chunk))
        identities = [text_identity(row.text, f"the text of document {row.document_id!r}") for row in chunk]
        read = list(zip(chunk, identities, strict=True))

        def store_chunk(connection: Connection) -> int:
            texts = {identity: row.text for row, identity in read if row.document_id in wanted}
            ids = store_texts(connection, texts)
            rows = self.document_rows(read, wanted, ids)
            insert_rows(connection, "draft_documents", DOCUMENT_COLUMNS, rows)
            return sum(row.document_id in wanted for row in chunk)

        num_wanted = self.in_transaction(store_chunk, writes=True)
        self.num_documents += num_wanted
        self.num_documents_read += len(chunk)

    def document_rows(
        self,
        read: Sequence[tuple[DocumentRow, TextIdentity]],
        wanted: Container[str],
        ids: Mapping[bytes, int],
    ) -> Iterator[tuple[object, ...]]:
        """The rows to stage; documents that are not candidates have no number and no text."""
        document_no = self.num_documents
        for read_no, (row, (digest, num_bytes)) in enumerate(read, self.num_documents_read):
            place: tuple[int | None, ...] = (None, None, None)
            if row.document_id in wanted:
                place = (document_no, ids[digest], text_tokens(num_bytes))
                document_no += 1
            yield (read_no, row.document_id, digest, row.line, row.text_offset, *place)

    def wanted(self, connection: Connection, chunk: list[DocumentRow]) -> Container[str]:
        """The ids in this chunk that are candidates."""
        document_ids = {row.document_id for row in chunk}
        if self.is_all_pairs:
            return document_ids
        condition = one_of(connection, "document_id")
        statement = f"SELECT document_id FROM draft_wanted WHERE {condition}"  # noqa: S608
        return {document_id for (document_id,) in run(connection, statement, many(connection, document_ids))}

    def check(self) -> None:
        """Raises EmptyDraft or UnknownId unless what was added makes a job. Numbers the pairs."""
        if self.is_checked:
            return
        for kind, count in (
            ("queries", self.num_queries),
            ("candidates", 1 if self.is_all_pairs else self.num_candidates),
            ("documents", self.num_documents_read),
        ):
            if count == 0:
                raise EmptyDraft(kind)
        self.num_pairs = self.in_transaction(self.number_pairs)
        if not self.is_all_pairs:
            self.num_duplicate_candidates = self.num_candidates - self.num_pairs
        self.is_checked = True

    def number_pairs(self, connection: Connection) -> int:
        if not self.is_all_pairs:
            check_known(connection, "document")
        return number_pairs(connection, all_pairs=self.is_all_pairs)

    def record(self, request: JobRequest, slice_pairs: Slicer) -> Submission:
        """Records the job in one transaction, or finds the one that has its key.

        Raises what check() raises, and NameTaken.
        """
        self.check()
        restore_durability(self.connection)
        submission = self.in_transaction(
            lambda connection: record_draft(connection, self.num_pairs, request, slice_pairs),
            writes=True,
        )
        reach("after_record_commit")
        return submission


@contextmanager
def open_draft(store: Store) -> Iterator[Draft]:
    """A new draft. What has not been recorded when the block ends is dropped."""
    with store.connection() as connection, closing(Draft(store, connection)) as draft:
        yield draft

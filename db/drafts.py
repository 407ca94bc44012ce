"""A draft: a job while it is being read. Nothing of it is visible until it is published.

Texts are stored in committed chunks on the way (one nobody points at is harmless); everything else waits
in temporary tables and is recorded in one transaction. Memory is constant whatever is read.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection

from db import publishing, staging
from db.bulk import chunks, insert_rows, many, one_of, run
from db.connecting import WRITES
from db.costs import text_tokens
from db.errors import EmptyDraft
from db.records import CandidateRow, DocumentRow, JobRequest, PairCost, QueryRow, ShardPlan, Submission
from db.store import Store
from db.texts import encoded, store_texts

T = TypeVar("T")
R = TypeVar("R", QueryRow, DocumentRow)

ROWS_PER_CHUNK = 1_000
CANDIDATES_PER_CHUNK = 20_000
MAX_CHUNK_CHARS = 4 * 2**20
QUERY_COLUMNS = ("query_no", "query_id", "digest", "text_id", "num_tokens", "line")
DOCUMENT_COLUMNS = ("document_id", "digest", "line", "document_no", "text_id", "num_tokens", "text_offset")
CANDIDATE_COLUMNS = ("query_id", "document_id", "line")


class Draft:
    """A job being read: queries first, then candidates (or all pairs), then documents; then publish.

    `num_duplicate_candidates` counts candidate lines that repeat a pair; known after check().
    """

    def __init__(self, store: Store, connection: Connection) -> None:
        self.store = store
        self.connection = connection
        self.is_all_pairs = False
        self.is_checked = False
        self.num_queries = 0
        self.num_candidates = 0
        self.num_documents_read = 0
        self.num_documents = 0
        self.num_pairs = 0
        self.num_duplicate_candidates = 0
        with connection.begin():
            staging.create(connection)

    def add_queries(self, queries: Iterable[QueryRow]) -> None:
        """Adds the queries, in order. Raises DuplicateId, UnstorableText."""
        for chunk in text_chunks(queries):
            self.add_query_chunk(chunk)
        self.in_transaction(self.check_queries)

    def add_query_chunk(self, chunk: list[QueryRow]) -> None:
        identities = [encoded(row.text, f"the text of query {row.query_id!r}") for row in chunk]

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
        staging.index(connection, "draft_query_ids", "draft_queries", "query_id")
        staging.check_distinct(connection, "query")

    def use_all_pairs(self) -> None:
        """Every query with every document, instead of candidates."""
        self.is_all_pairs = True

    def add_candidates(self, candidates: Iterable[CandidateRow]) -> None:
        """Adds the pairs to score. Raises UnknownId for a query that was not added."""
        for chunk in chunks(candidates, CANDIDATES_PER_CHUNK):

            def store_chunk(connection: Connection, chunk: list[CandidateRow] = chunk) -> None:
                insert_rows(connection, "draft_candidates", CANDIDATE_COLUMNS, chunk)

            self.in_transaction(store_chunk)
            self.num_candidates += len(chunk)
        self.in_transaction(self.check_candidates)

    def check_candidates(self, connection: Connection) -> None:
        staging.analyze(connection, "draft_candidates")
        staging.check_known(connection, "query")
        run(
            connection,
            "CREATE TEMPORARY TABLE draft_wanted AS SELECT DISTINCT document_id FROM draft_candidates",
        )
        staging.index(connection, "draft_wanted_ids", "draft_wanted", "document_id")

    def add_documents(self, documents: Iterable[DocumentRow]) -> None:
        """Adds the documents, in order; with candidates, only those that are some are stored.

        Raises DuplicateId, UnstorableText.
        """
        for chunk in text_chunks(documents):
            self.add_document_chunk(chunk)
        self.in_transaction(self.check_documents)

    def check_documents(self, connection: Connection) -> None:
        staging.index(connection, "draft_document_ids", "draft_documents", "document_id")
        staging.check_distinct(connection, "document")

    def add_document_chunk(self, chunk: list[DocumentRow]) -> None:
        wanted = self.in_transaction(lambda connection: self.wanted(connection, chunk))
        identities = [encoded(row.text, f"the text of document {row.document_id!r}") for row in chunk]
        first_no = self.num_documents

        def store_chunk(connection: Connection) -> int:
            kept = {
                identity: row.text
                for row, identity in zip(chunk, identities, strict=True)
                if wanted is None or row.document_id in wanted
            }
            ids = store_texts(connection, kept)
            document_no = first_no
            rows = []
            for row, identity in zip(chunk, identities, strict=True):
                is_kept = wanted is None or row.document_id in wanted
                numbers = (
                    (document_no, ids[identity.digest], text_tokens(identity.num_bytes))
                    if is_kept
                    else (None, None, None)
                )
                document_no += is_kept
                rows.append((row.document_id, identity.digest, row.line, *numbers, row.text_offset))
            insert_rows(
                connection,
                "draft_documents",
                DOCUMENT_COLUMNS,
                rows,
            )
            return document_no

        self.num_documents = self.in_transaction(store_chunk, writes=True)
        self.num_documents_read += len(chunk)

    def wanted(self, connection: Connection, chunk: list[DocumentRow]) -> set[str] | None:
        """Which of these documents are candidates; None when all are."""
        if self.is_all_pairs:
            return None
        condition = one_of(connection, "document_id")
        statement = f"SELECT document_id FROM draft_wanted WHERE {condition}"  # noqa: S608
        found = run(connection, statement, many(connection, (row.document_id for row in chunk)))
        return {document_id for (document_id,) in found}

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
            staging.check_known(connection, "document")
        return staging.number_pairs(connection, all_pairs=self.is_all_pairs)

    def publish(
        self, request: JobRequest, slice_pairs: Callable[[Iterator[PairCost]], Iterator[ShardPlan]]
    ) -> Submission:
        """Records the job in one transaction, or finds the one with the same key.

        `slice_pairs` lays shards over pairs in stored order. Raises what check() raises, and NameTaken.
        """
        self.check()
        return self.in_transaction(
            lambda connection: publishing.publish(connection, self.num_pairs, request, slice_pairs),
            writes=True,
        )

    def in_transaction(self, statements: Callable[[Connection], T], *, writes: bool = False) -> T:
        """Runs `statements` in a transaction on the draft's connection."""
        self.connection.execution_options(**dict.fromkeys(WRITES, writes))
        with self.store.translated(), self.connection.begin():
            return statements(self.connection)


@contextmanager
def draft(store: Store) -> Iterator[Draft]:
    """A new draft. What was not published when the block ends is gone."""
    with store.connection() as connection:
        yield Draft(store, connection)


def text_chunks(rows: Iterable[R]) -> Iterator[list[R]]:
    """Rows with a `text`, in lists bounded by number and by characters."""
    chunk: list[R] = []
    num_chars = 0
    for row in rows:
        chunk.append(row)
        num_chars += len(row.text)
        if len(chunk) >= ROWS_PER_CHUNK or num_chars >= MAX_CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
    if chunk:
        yield chunk

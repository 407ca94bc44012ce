"""The draft's temporary tables: what was read so far, on one connection, seen by nobody else.

Temporary tables take no lock of the store's: reading a corpus for an hour disturbs no one.
"""

from sqlalchemy import Connection

from db.bulk import driver, is_sqlite
from db.errors import DuplicateId, UnknownId

TABLES = (
    "draft_queries (query_no INTEGER PRIMARY KEY, query_id TEXT, digest {bytes}, text_id BIGINT, "
    "num_tokens INTEGER, line INTEGER)",
    "draft_candidates (query_id TEXT, document_id TEXT, line INTEGER)",
    # document_no is NULL for documents that are no candidates: only their ids are checked.
    "draft_documents (document_id TEXT, digest {bytes}, line INTEGER, document_no INTEGER, text_id BIGINT, "
    "num_tokens INTEGER, text_offset INTEGER)",
)

DUPLICATE = """
SELECT again.{id}, twice.first_line, again.line, first.digest = again.digest
FROM (SELECT {id}, min(line) AS first_line FROM {table} GROUP BY {id} HAVING count(*) > 1) AS twice
JOIN {table} AS again ON again.{id} = twice.{id} AND again.line > twice.first_line
JOIN {table} AS first ON first.{id} = twice.{id} AND first.line = twice.first_line
ORDER BY again.line LIMIT 1
"""

UNKNOWN_QUERY = """
SELECT draft_candidates.query_id, draft_candidates.line FROM draft_candidates
WHERE NOT EXISTS (SELECT 1 FROM draft_queries WHERE draft_queries.query_id = draft_candidates.query_id)
ORDER BY draft_candidates.line LIMIT 1
"""

UNKNOWN_DOCUMENT = """
SELECT draft_candidates.document_id, draft_candidates.line FROM draft_candidates
WHERE NOT EXISTS (
    SELECT 1 FROM draft_documents WHERE draft_documents.document_id = draft_candidates.document_id
)
ORDER BY draft_candidates.line LIMIT 1
"""

PAIR_COLUMNS = """
    row_number() OVER (ORDER BY wanted.document_no, wanted.query_no) - 1 AS pair_no,
    wanted.document_no, wanted.query_no, draft_documents.text_id AS document_text_id,
    draft_queries.text_id AS query_text_id, draft_documents.num_tokens AS document_tokens,
    draft_queries.num_tokens AS query_tokens
"""

CANDIDATE_PAIRS = """
    SELECT DISTINCT draft_documents.document_no, draft_queries.query_no
    FROM draft_candidates
    JOIN draft_queries ON draft_queries.query_id = draft_candidates.query_id
    JOIN draft_documents ON draft_documents.document_id = draft_candidates.document_id
"""

ALL_PAIRS = """
    SELECT draft_documents.document_no, draft_queries.query_no FROM draft_documents CROSS JOIN draft_queries
"""


def create(connection: Connection) -> None:
    """Makes the empty staging tables; they vanish with the connection."""
    cursor = driver(connection).cursor()
    kind = "BLOB" if is_sqlite(connection) else "BYTEA"
    for table in TABLES:
        cursor.execute(f"CREATE TEMPORARY TABLE {table.format(bytes=kind)}")


def index(connection: Connection, name: str, table: str, column: str) -> None:
    """An index for joins; by hash where there is such, because ids may be longer than a b-tree's keys."""
    method = "" if is_sqlite(connection) else "USING hash"
    where = "temp." if is_sqlite(connection) else ""
    cursor = driver(connection).cursor()
    cursor.execute(f"CREATE INDEX {where}{name} ON {table} {method} ({column})")
    analyze(connection, table)


def analyze(connection: Connection, table: str) -> None:
    """PostgreSQL knows nothing of a temporary table until told; SQLite plans well without."""
    if not is_sqlite(connection):
        driver(connection).execute(f"ANALYZE {table}")


def check_distinct(connection: Connection, kind: str) -> None:
    """Raises DuplicateId for the first line whose id was there before. `kind` is "query" or "document"."""
    table = "draft_queries" if kind == "query" else "draft_documents"
    statement = DUPLICATE.format(id=f"{kind}_id", table=table)
    found = driver(connection).execute(statement).fetchone()
    if found is not None:
        id_, first_line, line, is_same_text = found
        raise DuplicateId(kind, id_, first_line, line, bool(is_same_text))


def check_known(connection: Connection, kind: str) -> None:
    """Raises UnknownId for the first candidate whose query or document is not in the inputs."""
    statement = UNKNOWN_QUERY if kind == "query" else UNKNOWN_DOCUMENT
    found = driver(connection).execute(statement).fetchone()
    if found is not None:
        raise UnknownId(kind, *found)


def number_pairs(connection: Connection, *, all_pairs: bool) -> int:
    """Fills draft_pairs with the distinct pairs in stored order; returns how many there are."""
    wanted = ALL_PAIRS if all_pairs else CANDIDATE_PAIRS
    cursor = driver(connection).cursor()
    cursor.execute(
        f"CREATE TEMPORARY TABLE draft_pairs AS SELECT {PAIR_COLUMNS} FROM ({wanted}) AS wanted "  # noqa: S608
        "JOIN draft_documents ON draft_documents.document_no = wanted.document_no "
        "JOIN draft_queries ON draft_queries.query_no = wanted.query_no ORDER BY 1"
    )
    analyze(connection, "draft_pairs")
    num_pairs: int = cursor.execute("SELECT count(*) FROM draft_pairs").fetchone()[0]
    return num_pairs

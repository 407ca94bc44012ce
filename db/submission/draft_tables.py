"""The draft's temporary tables: what has been read so far, on one connection, invisible to others.

Temporary tables lock nothing in the store, so reading a corpus may take an hour and disturbs nobody.
"""

from sqlalchemy import Connection

from rankmill.db.errors import UnknownId
from rankmill.db.store.bulk import driver, run
from rankmill.db.store.temporary_tables import analyze, create_tables
from rankmill.db.submission.token_estimates import BYTES_PER_TOKEN

TABLES = (
    """draft_queries (
        query_no INTEGER {key}, query_id {name}, digest {bytes}, text_id BIGINT, num_tokens INTEGER,
        line INTEGER
    )""",
    "draft_candidates (query_id {name}, document_id {name}, line INTEGER)",
    # document_no is NULL for documents that are not candidates: only their ids are checked.
    """draft_documents (
        read_no INTEGER {key}, document_id {name}, digest {bytes}, line INTEGER, text_offset INTEGER,
        document_no INTEGER, text_id BIGINT, num_tokens INTEGER
    )""",
    """draft_pairs (
        pair_no INTEGER {key}, document_no INTEGER, query_no INTEGER, document_text_id BIGINT,
        query_text_id BIGINT, document_tokens INTEGER, query_tokens INTEGER
    )""",
)

# As text_tokens of db/submission/token_estimates.py counts.
TOKENS = f"CASE WHEN texts.num_bytes < {BYTES_PER_TOKEN} THEN 1 ELSE texts.num_bytes / {BYTES_PER_TOKEN} END"

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
    draft_documents.document_no, draft_queries.query_no, draft_documents.text_id AS document_text_id,
    draft_queries.text_id AS query_text_id, draft_documents.num_tokens AS document_tokens,
    draft_queries.num_tokens AS query_tokens
"""

ALL_PAIRS = f"SELECT {PAIR_COLUMNS} FROM draft_documents CROSS JOIN draft_queries"  # noqa: S608

CANDIDATE_PAIRS = f"""
SELECT DISTINCT {PAIR_COLUMNS}
FROM draft_candidates
JOIN draft_queries ON draft_queries.query_id = draft_candidates.query_id
JOIN draft_documents ON draft_documents.document_id = draft_candidates.document_id
"""  # noqa: S608

TAKE_QUERIES = f"""
INSERT INTO draft_queries (query_no, query_id, text_id, num_tokens, line)
SELECT row_number() OVER (ORDER BY members.query_no, members.query_id) - 1, members.query_id,
    members.text_id, {TOKENS}, 0
FROM query_set_queries AS members JOIN texts ON texts.id = members.text_id
WHERE members.query_set_id = ?
"""  # noqa: S608

# `wanted` is NULL for documents that are not candidates: they get no number.
TAKE_DOCUMENTS = f"""
INSERT INTO draft_documents (read_no, document_id, text_offset, document_no, text_id, num_tokens, line)
SELECT row_number() OVER (ORDER BY members.document_id) - 1, members.document_id, members.text_offset,
    CASE WHEN {{wanted}} IS NOT NULL THEN count({{wanted}}) OVER (ORDER BY members.document_id) - 1 END,
    members.text_id, {TOKENS}, 0
FROM collection_documents AS members JOIN texts ON texts.id = members.text_id {{candidates}}
WHERE members.collection_id = ?
"""  # noqa: S608

NUMBER_PAIRS = """
INSERT INTO draft_pairs
SELECT row_number() OVER (ORDER BY document_no, query_no) - 1 AS pair_no, wanted.*
FROM ({wanted}) AS wanted ORDER BY 1
"""


def create_draft_tables(connection: Connection) -> None:
    """Makes the empty tables; they are gone with the connection."""
    create_tables(connection, TABLES)


def check_known(connection: Connection, kind: str) -> None:
    """Raises UnknownId for the first candidate whose query or document is not in the inputs."""
    statement = UNKNOWN_QUERY if kind == "query" else UNKNOWN_DOCUMENT
    found = driver(connection).execute(statement).fetchone()
    if found is not None:
        raise UnknownId(kind, *found)


def take_queries(connection: Connection, query_set_id: int) -> int:
    """Fills draft_queries from a query set, in its order. Returns how many queries those are."""
    num_taken: int = run(connection, TAKE_QUERIES, query_set_id).rowcount
    return num_taken


def take_documents(connection: Connection, collection_id: int, *, all_pairs: bool) -> int:
    """Fills draft_documents from a collection, by id; candidates are numbered. Returns how many documents."""
    candidates = "LEFT JOIN draft_wanted ON draft_wanted.document_id = members.document_id"
    parts = (
        {"wanted": "members.document_id", "candidates": ""}
        if all_pairs
        else {"wanted": "draft_wanted.document_id", "candidates": candidates}
    )
    num_taken: int = run(connection, TAKE_DOCUMENTS.format(**parts), collection_id).rowcount
    return num_taken


def number_pairs(connection: Connection, *, all_pairs: bool) -> int:
    """Fills draft_pairs with the distinct pairs in stored order. Returns how many pairs those are."""
    cursor = driver(connection).cursor()
    cursor.execute(NUMBER_PAIRS.format(wanted=ALL_PAIRS if all_pairs else CANDIDATE_PAIRS))
    analyze(connection, "draft_pairs")
    num_pairs: int = cursor.execute("SELECT count(*) FROM draft_pairs").fetchone()[0]
    return num_pairs

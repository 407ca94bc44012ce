"""A job's results beside what its ranking has: which pairs are added, changed and removed.

Works in temporary tables of one connection, so that comparing a million pairs locks nothing in the store.
Knows nothing of when a job may be published.
"""

from dataclasses import dataclass
from math import inf

from sqlalchemy import Connection

from rankmill.db.results.ranked import SHOWN_PAIRS
from rankmill.db.schema.views import SIGMOID
from rankmill.db.store.bulk import is_sqlite, run
from rankmill.db.store.temporary_tables import analyze

TABLES = (
    """wanted_results (
        ranking_query_id BIGINT, document_id TEXT, rank INTEGER, logit REAL, span_start INTEGER,
        span_end INTEGER, error TEXT, scored_at DOUBLE PRECISION
    )""",
    """pending_changes (
        change_no {counted}, change TEXT, old_cursor BIGINT, ranking_query_id BIGINT, document_id TEXT,
        rank INTEGER, logit REAL, span_start INTEGER, span_end INTEGER, error TEXT
    )""",
)
COUNTED = {"sqlite": "INTEGER PRIMARY KEY", "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY"}

NEW_QUERIES = """
INSERT INTO ranking_queries (ranking_id, query_id)
SELECT CAST(? AS integer), query_id FROM job_queries
WHERE job_id = ? AND NOT EXISTS (
    SELECT 1 FROM ranking_queries
    WHERE ranking_queries.ranking_id = ? AND ranking_queries.query_id = job_queries.query_id
)
ORDER BY query_no
"""
# A score that is younger than the publication to bring back was not in it. Parameters: the time of its
# youngest score, the job three times, the ranking, and those of `limits`.
WANTED_RESULTS = """
INSERT INTO wanted_results
    (ranking_query_id, document_id, rank, logit, span_start, span_end, error, scored_at)
SELECT ranking_queries.id, document_id, CASE WHEN logit IS NOT NULL THEN place END, logit,
    CASE WHEN logit IS NOT NULL THEN CASE WHEN span_start > 0 THEN span_start ELSE 0 END END,
    CASE WHEN logit IS NOT NULL THEN CASE WHEN span_end > 0 THEN span_end ELSE 0 END END,
    CASE WHEN logit IS NULL THEN coalesce(error, 'it had no score when this was published') END,
    CASE WHEN logit IS NOT NULL THEN scored_at END
FROM (
    SELECT query_id, document_id, logit, span_start, span_end, error, scored_at,
        row_number() OVER (
            PARTITION BY query_no
            ORDER BY (CASE WHEN logit IS NULL THEN 1 ELSE 0 END), logit DESC, document_id
        ) AS place
    FROM (
        SELECT query_no, query_id, document_id, span_start, span_end, error, scored_at,
            CASE WHEN scored_at <= CAST(? AS double precision) THEN logit END AS logit
        FROM ({shown}) AS shown
    ) AS known
) AS placed
JOIN ranking_queries
    ON ranking_queries.ranking_id = ? AND ranking_queries.query_id = placed.query_id
{limits}
"""
NUM_FAILED = "SELECT count(*) FROM wanted_results WHERE rank IS NULL"
DROP_FAILED = "DELETE FROM wanted_results WHERE rank IS NULL"
TOTALS = "SELECT count(*), max(scored_at) FROM wanted_results"

SAME_PAIR = """
    old.ranking_id = ? AND old.ranking_query_id = wanted.ranking_query_id
    AND old.document_id = wanted.document_id
"""
DIFFERS = """
    (wanted.rank IS NULL) <> (old.told_rank IS NULL)
    OR abs(wanted.rank - old.told_rank) > ? OR {score_differs}
    OR coalesce(wanted.span_start, -1) <> coalesce(old.span_start, -1)
    OR coalesce(wanted.span_end, -1) <> coalesce(old.span_end, -1)
    OR coalesce(wanted.error, '') <> coalesce(old.error, '')
"""
COLUMNS = "change, old_cursor, ranking_query_id, document_id, rank, logit, span_start, span_end, error"
NEW_AND_CHANGED = f"""
INSERT INTO pending_changes ({COLUMNS})
SELECT CASE WHEN old.change IS NULL OR old.change = 'removed' THEN 'added' ELSE 'changed' END,
    old.cursor, wanted.ranking_query_id, wanted.document_id, wanted.rank, wanted.logit,
    wanted.span_start, wanted.span_end, wanted.error
FROM wanted_results AS wanted LEFT JOIN published_results AS old ON {SAME_PAIR}
WHERE old.change IS NULL OR old.change = 'removed' OR {DIFFERS}
ORDER BY wanted.ranking_query_id, wanted.rank, wanted.document_id
"""  # noqa: S608
REMOVED = f"""
INSERT INTO pending_changes ({COLUMNS})
SELECT 'removed', old.cursor, old.ranking_query_id, old.document_id, NULL, NULL, NULL, NULL, NULL
FROM published_results AS old LEFT JOIN wanted_results AS wanted ON {SAME_PAIR}
WHERE old.ranking_id = ? AND old.change <> 'removed' AND wanted.document_id IS NULL
ORDER BY old.cursor
"""  # noqa: S608
COUNTS = "SELECT change, count(*) FROM pending_changes GROUP BY change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What of a job is to be published: its results within these limits, as known at `scored_until`."""

    job_id: int
    with_failed: bool
    top_k: int | None
    min_score: float | None
    scored_until: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What publishing would change. `num_failed` counts failed pairs, whether they are published or not."""

    num_pairs: int
    num_failed: int
    num_added: int
    num_changed: int
    num_removed: int
    scored_until: float

    @property
    def num_cursors(self) -> int:
        """How many cursors publishing gives out: one for each pair that differs."""
        return self.num_added + self.num_changed + self.num_removed


def number_queries(connection: Connection, ranking_id: int, job_id: int) -> None:
    """Gives the job's queries their numbers in the ranking, which the caller has locked."""
    run(connection, NEW_QUERIES, ranking_id, job_id, ranking_id)


def compare(
    connection: Connection, ranking_id: int, wanted: Wanted, *, score_tolerance: float, rank_tolerance: int
) -> Compared:
    """Fills wanted_results and pending_changes on this connection anew."""
    create_temporary_tables(connection)
    limits, bounds = limits_of(wanted)
    run(
        connection,
        WANTED_RESULTS.format(shown=SHOWN_PAIRS, limits=limits),
        wanted.scored_until,
        *[wanted.job_id] * 3,
        ranking_id,
        *bounds,
    )
    num_failed: int = run(connection, NUM_FAILED).fetchone()[0]
    if num_failed and not wanted.with_failed:
        run(connection, DROP_FAILED)
    if is_sqlite(connection):
        run(
            connection,
            "CREATE INDEX temp.wanted_results_pair ON wanted_results (ranking_query_id, document_id)",
        )
    analyze(connection, "wanted_results")
    score_differs = "wanted.logit <> old.told_logit"
    tolerances: list[float] = [rank_tolerance]
    if score_tolerance:
        score_differs = (
            f"abs({SIGMOID.format(logit='wanted.logit')} - {SIGMOID.format(logit='old.told_logit')}) > ?"
        )
        tolerances.append(score_tolerance)
    run(connection, NEW_AND_CHANGED.format(score_differs=score_differs), ranking_id, *tolerances)
    run(connection, REMOVED, ranking_id, ranking_id)
    analyze(connection, "pending_changes")
    counts = dict(run(connection, COUNTS).fetchall())
    num_pairs, scored_until = run(connection, TOTALS).fetchone()
    return Compared(
        num_pairs=num_pairs,
        num_failed=num_failed,
        num_added=counts.get("added", 0),
        num_changed=counts.get("changed", 0),
        num_removed=counts.get("removed", 0),
        scored_until=0.0 if scored_until is None else scored_until,
    )


def create_temporary_tables(connection: Connection) -> None:
    """Makes the temporary tables anew; they are gone with the connection."""
    for table in TABLES:
        name = table.split()[0]
        run(connection, f"DROP TABLE IF EXISTS {'temp' if is_sqlite(connection) else 'pg_temp'}.{name}")
        run(connection, f"CREATE TEMPORARY TABLE {table.format(counted=COUNTED[connection.dialect.name])}")


def limits_of(wanted: Wanted) -> tuple[str, list[float]]:
    """The condition that leaves out what the job does not show, and its parameters. Failed pairs stay."""
    limits, bounds = [], list[float]()
    if wanted.top_k is not None:
        limits.append("place <= ?")
        bounds.append(wanted.top_k)
    if wanted.min_score is not None:
        limits.append(f"{SIGMOID.format(logit='logit')} >= ?")
        bounds.append(wanted.min_score)
    return (f"WHERE logit IS NULL OR ({' AND '.join(limits)})" if limits else ""), bounds


# What follows runs in the transaction that publishes: pending_changes become rows of published_results.

DELETE_OLD_ROWS = """
DELETE FROM published_results
WHERE ranking_id = ? AND cursor IN (SELECT old_cursor FROM pending_changes WHERE old_cursor IS NOT NULL)
"""
INSERT_NEW_ROWS = """
INSERT INTO published_results (
    ranking_id, cursor, change, publication_id, changed_at, ranking_query_id, document_id, rank, logit,
    span_start, span_end, error, told_rank, told_logit
)
SELECT CAST(? AS integer), CAST(? AS bigint) + change_no, change, CAST(? AS integer),
    CAST(? AS double precision), ranking_query_id, document_id, rank, logit, span_start, span_end, error,
    rank, logit
FROM pending_changes ORDER BY change_no
"""
# Within the tolerance: readers of the ranking see the new numbers, the feed keeps those it has shown.
UPDATE_WITHIN_TOLERANCE = """
UPDATE published_results SET rank = wanted.rank, logit = wanted.logit
FROM wanted_results AS wanted
WHERE published_results.ranking_id = ? AND published_results.change <> 'removed'
    AND published_results.ranking_query_id = wanted.ranking_query_id
    AND published_results.document_id = wanted.document_id
    AND (published_results.rank <> wanted.rank OR published_results.logit <> wanted.logit)
"""


def apply(
    connection: Connection,
    ranking_id: int,
    publication_id: int,
    *,
    after_cursor: int,
    now: float,
    with_tolerance: bool,
) -> None:
    """Makes the ranking equal to wanted_results; its changes get the cursors after `after_cursor`.

    `with_tolerance` says that there may be changes within a tolerance, which get no cursor.
    """
    run(connection, DELETE_OLD_ROWS, ranking_id)
    run(connection, INSERT_NEW_ROWS, ranking_id, after_cursor, publication_id, now)
    if with_tolerance:
        run(connection, UPDATE_WITHIN_TOLERANCE, ranking_id)

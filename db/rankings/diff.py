"""A job's results beside what stands in a ranking: which pairs are added, changed and removed.

Works in temporary tables of one connection, so that comparing a million pairs takes no lock of the store's.
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
    """publish_tonight (
        ranking_query_id BIGINT, document_id TEXT, rank INTEGER, logit REAL, span_start INTEGER,
        span_end INTEGER, error TEXT, scored_at DOUBLE PRECISION
    )""",
    """publish_moves (
        move_no {counted}, change TEXT, old_cursor BIGINT, ranking_query_id BIGINT, document_id TEXT,
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
# youngest score, the job three times, the ranking, and what `limits` asks for.
TONIGHT = """
INSERT INTO publish_tonight
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
NUM_FAILED = "SELECT count(*) FROM publish_tonight WHERE rank IS NULL"
DROP_FAILED = "DELETE FROM publish_tonight WHERE rank IS NULL"
TOTALS = "SELECT count(*), max(scored_at) FROM publish_tonight"

SAME_PAIR = """
    old.ranking_id = ? AND old.ranking_query_id = tonight.ranking_query_id
    AND old.document_id = tonight.document_id
"""
DIFFERS = """
    (tonight.rank IS NULL) <> (old.told_rank IS NULL)
    OR abs(tonight.rank - old.told_rank) > ? OR {score_differs}
    OR coalesce(tonight.span_start, -1) <> coalesce(old.span_start, -1)
    OR coalesce(tonight.span_end, -1) <> coalesce(old.span_end, -1)
    OR coalesce(tonight.error, '') <> coalesce(old.error, '')
"""
COLUMNS = "change, old_cursor, ranking_query_id, document_id, rank, logit, span_start, span_end, error"
NEW_AND_CHANGED = f"""
INSERT INTO publish_moves ({COLUMNS})
SELECT CASE WHEN old.change IS NULL OR old.change = 'removed' THEN 'added' ELSE 'changed' END,
    old.cursor, tonight.ranking_query_id, tonight.document_id, tonight.rank, tonight.logit,
    tonight.span_start, tonight.span_end, tonight.error
FROM publish_tonight AS tonight LEFT JOIN published_results AS old ON {SAME_PAIR}
WHERE old.change IS NULL OR old.change = 'removed' OR {DIFFERS}
ORDER BY tonight.ranking_query_id, tonight.rank, tonight.document_id
"""  # noqa: S608
REMOVED = f"""
INSERT INTO publish_moves ({COLUMNS})
SELECT 'removed', old.cursor, old.ranking_query_id, old.document_id, NULL, NULL, NULL, NULL, NULL
FROM published_results AS old LEFT JOIN publish_tonight AS tonight ON {SAME_PAIR}
WHERE old.ranking_id = ? AND old.change <> 'removed' AND tonight.document_id IS NULL
ORDER BY old.cursor
"""  # noqa: S608
COUNTS = "SELECT change, count(*) FROM publish_moves GROUP BY change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What of a job is to be published: its results down to these limits, as known at `scored_until`."""

    job_id: int
    with_failed: bool
    top_k: int | None
    min_score: float | None
    scored_until: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What publishing would do. `num_failed` counts failed pairs, whether they are published or not."""

    num_pairs: int
    num_failed: int
    num_added: int
    num_changed: int
    num_removed: int
    scored_until: float

    @property
    def num_moves(self) -> int:
        return self.num_added + self.num_changed + self.num_removed


def number_queries(connection: Connection, ranking_id: int, job_id: int) -> None:
    """Gives the job's queries their numbers in the ranking. Needs the ranking's lock."""
    run(connection, NEW_QUERIES, ranking_id, job_id, ranking_id)


def compare(
    connection: Connection, ranking_id: int, wanted: Wanted, *, score_tolerance: float, rank_tolerance: int
) -> Compared:
    """Fills publish_tonight and publish_moves on this connection, whatever was in them before."""
    create(connection)
    limits, bounds = limits_of(wanted)
    run(
        connection,
        TONIGHT.format(shown=SHOWN_PAIRS, limits=limits),
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
            "CREATE INDEX temp.publish_tonight_pair ON publish_tonight (ranking_query_id, document_id)",
        )
    analyze(connection, "publish_tonight")
    score_differs = "tonight.logit <> old.told_logit"
    tolerances: list[float] = [rank_tolerance]
    if score_tolerance:
        score_differs = (
            f"abs({SIGMOID.format(logit='tonight.logit')} - {SIGMOID.format(logit='old.told_logit')}) > ?"
        )
        tolerances.append(score_tolerance)
    run(connection, NEW_AND_CHANGED.format(score_differs=score_differs), ranking_id, *tolerances)
    run(connection, REMOVED, ranking_id, ranking_id)
    analyze(connection, "publish_moves")
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


def create(connection: Connection) -> None:
    """Makes the temporary tables anew; they vanish with the connection."""
    for table in TABLES:
        name = table.split()[0]
        run(connection, f"DROP TABLE IF EXISTS {'temp' if is_sqlite(connection) else 'pg_temp'}.{name}")
        run(connection, f"CREATE TEMPORARY TABLE {table.format(counted=COUNTED[connection.dialect.name])}")


def limits_of(wanted: Wanted) -> tuple[str, list[float]]:
    """The condition that leaves out what the job does not show, and its parameters; never a failed pair."""
    limits, bounds = [], list[float]()
    if wanted.top_k is not None:
        limits.append("place <= ?")
        bounds.append(wanted.top_k)
    if wanted.min_score is not None:
        limits.append(f"{SIGMOID.format(logit='logit')} >= ?")
        bounds.append(wanted.min_score)
    return (f"WHERE logit IS NULL OR ({' AND '.join(limits)})" if limits else ""), bounds


# What follows belongs to the transaction that publishes: publish_moves becomes rows of published_results.

TAKE_AWAY = """
DELETE FROM published_results
WHERE ranking_id = ? AND cursor IN (SELECT old_cursor FROM publish_moves WHERE old_cursor IS NOT NULL)
"""
PUT = """
INSERT INTO published_results (
    ranking_id, cursor, change, publication_id, changed_at, ranking_query_id, document_id, rank, logit,
    span_start, span_end, error, told_rank, told_logit
)
SELECT CAST(? AS integer), CAST(? AS bigint) + move_no, change, CAST(? AS integer),
    CAST(? AS double precision), ranking_query_id, document_id, rank, logit, span_start, span_end, error,
    rank, logit
FROM publish_moves ORDER BY move_no
"""
# Within the tolerance: readers of the ranking see tonight's numbers, the feed keeps those it told.
MOVE_QUIETLY = """
UPDATE published_results SET rank = tonight.rank, logit = tonight.logit
FROM publish_tonight AS tonight
WHERE published_results.ranking_id = ? AND published_results.change <> 'removed'
    AND published_results.ranking_query_id = tonight.ranking_query_id
    AND published_results.document_id = tonight.document_id
    AND (published_results.rank <> tonight.rank OR published_results.logit <> tonight.logit)
"""


def apply(
    connection: Connection,
    ranking_id: int,
    publication_id: int,
    *,
    after_cursor: int,
    now: float,
    quiet: bool,
) -> None:
    """Makes the ranking what publish_tonight says, with cursors from `after_cursor` on.

    `quiet` says that there may be changes within a tolerance.
    """
    run(connection, TAKE_AWAY, ranking_id)
    run(connection, PUT, ranking_id, after_cursor, publication_id, now)
    if quiet:
        run(connection, MOVE_QUIETLY, ranking_id)

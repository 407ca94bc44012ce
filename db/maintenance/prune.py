"""Pruning: removes what no job needs any more, in small transactions, while others read, submit and score.

Jobs go first, if they ended long ago and no reader downstream needs them; then scores of that age that no
remaining job uses; then texts that nothing uses. If a prune is killed, the next one continues.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, select, update

from rankmill.db.rankings.publish import jobs_to_keep
from rankmill.db.records.jobs import JobState
from rankmill.db.results.scored_pairs import OF_PAIRS
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.spans import span_requests
from rankmill.db.store.bulk import insert_rows, is_sqlite, run
from rankmill.db.store.clock import NOW_SQL, now_s
from rankmill.db.store.staging_session import StagingSession
from rankmill.db.store.store import Store
from rankmill.db.store.temporary_tables import analyze, create_tables, relax_durability

ROWS_PER_CHUNK = 20_000
DRAFT_S = 3600.0
"""A session that reads inputs and is silent for longer counts as dead, and may write nothing more."""

TABLES = (
    "prunable_jobs (job_id INTEGER)",
    "prunable_scores (no INTEGER {key}, scorer_id INTEGER, document_text_id BIGINT, query_text_id BIGINT)",
)
OLD_SCORES = """
INSERT INTO prunable_scores (no, scorer_id, document_text_id, query_text_id)
SELECT row_number() OVER () - 1, scorer_id, document_text_id, query_text_id
FROM scores WHERE scored_at < ?
"""
# Scores that the job uses stay, whether it scored or reused them. Parameter: the job.
NEEDED_BY = f"""
DELETE FROM prunable_scores WHERE (scorer_id, document_text_id, query_text_id) IN (
    SELECT jobs.scorer_id, job_documents.text_id, job_queries.text_id
    FROM pairs {OF_PAIRS}
    WHERE pairs.job_id = ?
)
"""  # noqa: S608
DELETE_SCORES = """
DELETE FROM scores WHERE (scorer_id, document_text_id, query_text_id) IN (
    SELECT scorer_id, document_text_id, query_text_id FROM prunable_scores WHERE no >= ? AND no < ?
)
"""
IS_UNUSED = """
    NOT EXISTS (SELECT 1 FROM collection_documents AS users WHERE users.text_id = texts.id)
    AND NOT EXISTS (SELECT 1 FROM query_set_queries AS users WHERE users.text_id = texts.id)
    AND NOT EXISTS (
        SELECT 1 FROM job_documents AS users WHERE users.text_id = texts.id
            AND users.job_id NOT IN (SELECT job_id FROM prunable_jobs)
    )
    AND NOT EXISTS (
        SELECT 1 FROM job_queries AS users WHERE users.text_id = texts.id
            AND users.job_id NOT IN (SELECT job_id FROM prunable_jobs)
    )
"""
NUM_UNUSED = f"SELECT count(*), coalesce(sum(num_bytes), 0) FROM texts WHERE {IS_UNUSED}"  # noqa: S608
DELETE_TEXTS = f"""
DELETE FROM texts WHERE id IN (
    SELECT id FROM texts WHERE id > ? AND id <= ? AND {IS_UNUSED}
)
"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a prune removed, or would remove.

    `is_whole` is False when texts were left for the next prune because somebody was reading inputs.
    """

    num_jobs: int
    num_pairs: int
    num_scores: int
    num_texts: int
    num_bytes: int
    is_whole: bool = True


class Pruning(StagingSession):
    """A prune on a connection of its own: `preview`, or `remove`. What is not `older_than_s` stays."""

    def __init__(self, store: Store, connection: Connection, older_than_s: float) -> None:
        super().__init__(store, connection)
        relax_durability(connection)
        self.older_than_s = older_than_s
        self.known_jobs: set[int] = set()

    def preview(self) -> Pruned:
        """What can be removed now. Changes nothing."""
        self.in_transaction(self.choose)
        for job_id in self.in_transaction(self.remaining_jobs):
            if self.in_transaction(has_scores):
                self.keep_scores_of(job_id)
        return self.in_transaction(self.count)

    def choose(self, connection: Connection) -> None:
        create_tables(connection, TABLES)
        cutoff: float = connection.execute(select(now_s())).scalar_one() - self.older_than_s
        self.cutoff = cutoff
        found = connection.scalars(select(jobs.c.id).where(ended_before(cutoff)).order_by(jobs.c.id)).all()
        needed = needed_jobs(connection)
        self.job_ids = [job_id for job_id in found if job_id not in needed]
        insert_rows(connection, "prunable_jobs", ("job_id",), ((job_id,) for job_id in self.job_ids))
        run(connection, OLD_SCORES, cutoff)
        analyze(connection, "prunable_scores")

    def remaining_jobs(self, connection: Connection) -> list[int]:
        """The jobs that stay, newest first: the newest use most of the old scores."""
        found = connection.scalars(select(jobs.c.id).order_by(jobs.c.id.desc())).all()
        self.known_jobs = set(found)
        going = set(self.job_ids)
        return [job_id for job_id in found if job_id not in going]

    def count(self, connection: Connection) -> Pruned:
        num_pairs = (
            "SELECT coalesce(sum(num_pairs), 0) FROM jobs WHERE id IN (SELECT job_id FROM prunable_jobs)"
        )
        num_texts, num_bytes = run(connection, NUM_UNUSED).fetchone()
        return Pruned(
            num_jobs=len(self.job_ids),
            num_pairs=int(run(connection, num_pairs).fetchone()[0]),
            num_scores=run(connection, "SELECT count(*) FROM prunable_scores").fetchone()[0],
            num_texts=int(num_texts),
            num_bytes=int(num_bytes),
        )

    def remove(self) -> Pruned:
        """Removes what `preview` finds, as far as it is still not needed then."""
        found = self.preview()
        removed = [job_id for job_id in self.job_ids if self.remove_job(job_id)]
        num_scores = self.remove_scores()
        num_texts = self.remove_texts()
        return Pruned(
            num_jobs=len(removed),
            num_pairs=found.num_pairs,
            num_scores=num_scores,
            num_texts=num_texts or 0,
            num_bytes=found.num_bytes,
            is_whole=num_texts is not None,
        )

    def remove_job(self, job_id: int) -> bool:
        """Removes the job and its rows; False when it is needed again."""
        num_pairs = self.store.write(lambda connection: self.hide_job(connection, job_id))
        if num_pairs is None:
            self.in_transaction(
                lambda connection: run(connection, "DELETE FROM prunable_jobs WHERE job_id = ?", job_id)
            )
            self.keep_scores_of(job_id)
            return False
        for first in range(0, num_pairs, ROWS_PER_CHUNK):
            bounds = (job_id, first, first + ROWS_PER_CHUNK)
            for table in ("failed_pairs", "pairs"):
                self.delete(f"FROM {table} WHERE job_id = ? AND pair_no >= ? AND pair_no < ?", *bounds)
        for rest in ("job_documents WHERE job_id", "shards WHERE job_id", "jobs WHERE id"):
            self.delete(f"FROM {rest} = ?", job_id)
        return True

    def keep_scores_of(self, job_id: int) -> None:
        """Takes the scores that this job uses off the list."""
        self.in_transaction(lambda connection: run(connection, NEEDED_BY, job_id))

    def delete(self, what: str, *parameters: object) -> None:
        self.store.write(lambda connection: run(connection, f"DELETE {what}", *parameters))

    def hide_job(self, connection: Connection, job_id: int) -> int | None:
        """Hides the job: its key and name are free, and it shows no results.

        Returns how many pairs it has, or None when it must stay. If the prune is killed after this, the next
        one removes the rest.
        """
        is_old = select(jobs.c.num_pairs).where(jobs.c.id == job_id, ended_before(self.cutoff))
        num_pairs: int | None = connection.scalar(is_old.with_for_update())
        if num_pairs is None or job_id in needed_jobs(connection):
            return None
        gone = {"state": JobState.CANCELLED, "key": f"pruned {job_id}", "name": None}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(gone))
        run(connection, "DELETE FROM job_queries WHERE job_id = ?", job_id)
        return num_pairs

    def remove_scores(self) -> int:
        num_removed = 0
        last = "SELECT coalesce(max(no), -1) FROM prunable_scores"
        end: int = self.in_transaction(lambda connection: run(connection, last).fetchone()[0])
        for first in range(0, end + 1, ROWS_PER_CHUNK):
            num_removed += self.in_transaction(partial(self.remove_some_scores, first=first), writes=True)
        return num_removed

    def remove_some_scores(self, connection: Connection, first: int) -> int:
        # Whoever records a job now waits, and then finds these scores gone. Jobs recorded before are asked.
        keep_readers_out(connection)
        # One by one and not from an id on: on PostgreSQL a lower id may become visible after a higher one.
        for job_id in set(connection.scalars(select(jobs.c.id))) - self.known_jobs:
            run(connection, NEEDED_BY, job_id)
        gone: int = run(connection, DELETE_SCORES, first, first + ROWS_PER_CHUNK).rowcount
        return gone

    def remove_texts(self) -> int | None:
        """Returns how many texts were removed; None if somebody reads inputs and may have just found one."""
        num_removed = 0
        highest = "SELECT coalesce(max(id), 0) FROM texts"
        end: int = self.in_transaction(lambda connection: run(connection, highest).fetchone()[0])
        for first in range(0, end, ROWS_PER_CHUNK):
            gone = self.in_transaction(partial(self.remove_some_texts, first=first), writes=True)
            if gone is None:
                return None
            num_removed += gone
        return num_removed

    def remove_some_texts(self, connection: Connection, first: int) -> int | None:
        keep_readers_out(connection)
        now = NOW_SQL["sqlite" if is_sqlite(connection) else "postgresql"]
        run(connection, f"DELETE FROM drafts WHERE seen_at < {now} - {DRAFT_S}")  # noqa: S608
        if run(connection, "SELECT 1 FROM drafts LIMIT 1").fetchone() is not None:
            return None
        gone: int = run(connection, DELETE_TEXTS, first, first + ROWS_PER_CHUNK).rowcount
        return gone


def ended_before(cutoff: float) -> Any:
    return (jobs.c.state != JobState.ACTIVE) & (jobs.c.finished_at < cutoff)


def needed_jobs(connection: Connection) -> set[int]:
    """Jobs that stay at any age: readers downstream need them, or their spans are still to be found."""
    open_spans = select(span_requests).where(span_requests.c.settled_at.is_(None))
    waiting = {
        job_id
        for row in connection.execute(open_spans)
        for job_id in (row.job_id, row.refining_job_id)
        if job_id is not None
    }
    return jobs_to_keep(connection) | waiting


def has_scores(connection: Connection) -> bool:
    """Whether any score is left that may be removed."""
    return run(connection, "SELECT 1 FROM prunable_scores LIMIT 1").fetchone() is not None


def keep_readers_out(connection: Connection) -> None:
    """Until this transaction ends nobody begins to read inputs, stores texts or records a job.

    On SQLite a writing transaction keeps others out by itself.
    """
    if not is_sqlite(connection):
        run(connection, "LOCK TABLE drafts IN SHARE ROW EXCLUSIVE MODE")


def prune(store: Store, older_than_s: float, *, is_trial: bool) -> Pruned:
    """Removes what is older than `older_than_s` and not needed. A trial only says what that would be."""
    with store.connection() as connection:
        pruning = Pruning(store, connection, older_than_s)
        return pruning.preview() if is_trial else pruning.remove()

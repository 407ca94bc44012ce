"""A ranking's current publication, and the one that takes its place.

Every function runs inside the caller's transaction. Decides nothing.
"""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from rankmill.db.rankings.diff import Compared, Wanted, apply
from rankmill.db.records.rankings import Publication
from rankmill.db.schema.rankings import publications, publish_requests, rankings
from rankmill.db.store.bulk import is_sqlite, run
from rankmill.db.store.clock import now_s

MANY_CURSORS = 10_000


def target_of_rollback(
    connection: Connection, ranking: Row[Any], publication_id: int | None
) -> Row[Any] | None:
    """The publication to bring back: the one asked for, or the newest one older than the current one."""
    of_ranking = select(publications).where(publications.c.ranking_id == ranking.ranking_id)
    if publication_id is not None:
        return connection.execute(of_ranking.where(publications.c.id == publication_id)).one_or_none()
    current = connection.execute(of_ranking.where(publications.c.id == ranking.publication_id)).one_or_none()
    if current is None:
        return None
    is_older = publications.c.id < (current.restored_id or current.id)
    older = of_ranking.where(is_older, publications.c.restored_id.is_(None))
    return connection.execute(older.order_by(publications.c.id.desc()).limit(1)).one_or_none()


def is_published_already(connection: Connection, asked: Row[Any], wanted: Wanted) -> bool:
    """Whether the same was asked before and its publication is still current: nothing need be compared."""
    before = select(publish_requests.c.id).where(
        publish_requests.c.job_id == asked.job_id,
        publish_requests.c.ranking_id == asked.ranking_id,
        publish_requests.c.settled_for == asked.finished_at,
        publish_requests.c.publication_id == asked.publication_id,
    )
    return is_current(connection, asked, wanted) and connection.execute(before).first() is not None


def is_current(connection: Connection, base: Row[Any], wanted: Wanted) -> bool:
    """Whether the current publication is of this very job with these very limits."""
    current = select(publications).where(publications.c.id == base.publication_id)
    found = connection.execute(current).one_or_none()
    return found is not None and (found.job_id, found.with_failed, found.top_k, found.min_score) == (
        wanted.job_id,
        wanted.with_failed,
        wanted.top_k,
        wanted.min_score,
    )


def write_publication(
    connection: Connection, base: Row[Any], wanted: Wanted, compared: Compared, restored_id: int | None
) -> Publication:
    """Writes the publication with its changes and makes it current; deletes the ones beyond `keep`."""
    now: float = connection.execute(select(now_s())).scalar_one()
    last_cursor = base.last_cursor + compared.num_cursors
    facts = {
        "job_id": wanted.job_id,
        "restored_id": restored_id,
        "num_pairs": compared.num_pairs,
        "num_added": compared.num_added,
        "num_changed": compared.num_changed,
        "num_removed": compared.num_removed,
        "last_cursor": last_cursor,
        "published_at": now,
    }
    row = insert(publications).values(
        ranking_id=base.ranking_id,
        with_failed=wanted.with_failed,
        top_k=wanted.top_k,
        min_score=wanted.min_score,
        scored_until=compared.scored_until,
        **facts,
    )
    publication_id: int = connection.execute(row.returning(publications.c.id)).scalar_one()
    is_tolerant = bool(base.score_tolerance or base.rank_tolerance)
    apply(
        connection,
        base.ranking_id,
        publication_id,
        after_cursor=base.last_cursor,
        now=now,
        with_tolerance=is_tolerant,
    )
    connection.execute(
        update(rankings)
        .where(rankings.c.id == base.ranking_id)
        .values(last_cursor=last_cursor, publication_id=publication_id)
    )
    delete_older(connection, base.ranking_id, base.keep)
    if compared.num_cursors >= MANY_CURSORS and not is_sqlite(connection):
        run(connection, "ANALYZE published_results, ranking_queries")
    return Publication(publication_id=publication_id, ranking=base.ranking, **facts)


def delete_older(connection: Connection, ranking_id: int, keep: int) -> None:
    of_ranking = publications.c.ranking_id == ranking_id
    newest = select(publications.c.id).where(of_ranking).order_by(publications.c.id.desc()).limit(keep)
    connection.execute(delete(publications).where(of_ranking, publications.c.id.not_in(newest)))

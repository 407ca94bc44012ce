"""Rankings: found, listed and removed, their tolerances, and the publications they keep."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from rankmill.db.errors import UnknownRanking
from rankmill.db.records.rankings import Publication, RankingRow
from rankmill.db.schema.rankings import (
    deliveries,
    publications,
    publish_requests,
    published_results,
    ranking_queries,
    rankings,
)
from rankmill.db.store.storable import is_storable
from rankmill.db.store.store import Store


def find(store: Store, name: str) -> RankingRow:
    """The ranking of this name. Raises UnknownRanking."""
    if is_storable(name):
        with store.reading() as connection:
            found = connection.execute(select(rankings).where(rankings.c.name == name)).one_or_none()
        if found is not None:
            return ranking_row(found)
    raise UnknownRanking(name)


def list_rankings(store: Store) -> list[RankingRow]:
    """All rankings by name."""
    with store.reading() as connection:
        found = connection.execute(select(rankings).order_by(rankings.c.name)).all()
    return [ranking_row(row) for row in found]


def ranking_row(row: Row[Any]) -> RankingRow:
    return RankingRow(
        ranking_id=row.id,
        name=row.name,
        keep=row.keep,
        score_tolerance=row.score_tolerance,
        rank_tolerance=row.rank_tolerance,
        last_cursor=row.last_cursor,
        publication_id=row.publication_id,
    )


def set_tolerances(
    store: Store, ranking_id: int, *, score: float | None = None, rank: int | None = None
) -> None:
    """Sets how large a change of score or rank must be for the feed to show it, from the next publication on.

    None leaves a tolerance as it is.
    """
    asked = {"score_tolerance": score, "rank_tolerance": rank}
    values = {column: value for column, value in asked.items() if value is not None}

    def note(connection: Connection) -> None:
        connection.execute(update(rankings).where(rankings.c.id == ranking_id).values(values))

    if values:
        store.write(note)


def remove(store: Store, ranking_id: int) -> None:
    """Removes the ranking, its publications, its feed and its deliveries; jobs and scores stay."""
    of_ranking = (publish_requests, publications, published_results, ranking_queries, deliveries)

    def forget(connection: Connection) -> None:
        # Locked first: a publication that is under way finds it gone.
        connection.execute(select(rankings.c.id).where(rankings.c.id == ranking_id).with_for_update())
        for table in of_ranking:
            connection.execute(delete(table).where(table.c.ranking_id == ranking_id))
        connection.execute(delete(rankings).where(rankings.c.id == ranking_id))

    store.write(forget)


def publications_of(store: Store, ranking_id: int) -> Sequence[Publication]:
    """The publications the ranking keeps, newest first; the first is the current one."""
    statement = (
        select(publications, rankings.c.name.label("ranking"))
        .join(rankings, rankings.c.id == publications.c.ranking_id)
        .where(rankings.c.id == ranking_id)
        .order_by(publications.c.id.desc())
    )
    with store.reading() as connection:
        found = connection.execute(statement).all()
    return [
        Publication(
            publication_id=row.id,
            ranking=row.ranking,
            job_id=row.job_id,
            restored_id=row.restored_id,
            num_pairs=row.num_pairs,
            num_added=row.num_added,
            num_changed=row.num_changed,
            num_removed=row.num_removed,
            last_cursor=row.last_cursor,
            published_at=row.published_at,
        )
        for row in found
    ]

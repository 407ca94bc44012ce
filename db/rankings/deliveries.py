"""Deliveries: how far a receiver has accepted a ranking's changes, and which it refused. Sends nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, delete, func, select, update

from rankmill.db.errors import ReceiverTaken
from rankmill.db.rankings.feed import FEED, change_row
from rankmill.db.records.rankings import ChangeRow
from rankmill.db.runtime.failpoints import reach
from rankmill.db.schema.rankings import deliveries, delivery_refusals, rankings
from rankmill.db.store.bulk import run, upsert
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import storable
from rankmill.db.store.store import Store

REFUSED = FEED.format(
    wanted="IN (SELECT refused.cursor FROM delivery_refusals AS refused "
    "WHERE refused.delivery_id = ? AND refused.cursor > ?)"
)
DELETE_OUTDATED = """
DELETE FROM delivery_refusals
WHERE delivery_id = ? AND NOT EXISTS (
    SELECT 1 FROM published_results
    WHERE published_results.ranking_id = ? AND published_results.cursor = delivery_refusals.cursor
)
"""


class Delivery(NamedTuple):
    """A receiver of a ranking. Every change up to `cursor` was accepted, or is among its refusals."""

    delivery_id: int
    ranking: str
    receiver: str
    cursor: int
    num_refused: int
    delivered_at: float | None


class Refusal(NamedTuple):
    cursor: int
    reason: str
    num_tries: int


def find(store: Store, receiver: str) -> Delivery | None:
    """The delivery to this receiver, if there ever was one."""
    with store.reading() as connection:
        row = connection.execute(delivery_rows().where(deliveries.c.receiver == receiver)).one_or_none()
    return None if row is None else Delivery(*row)


def find_or_begin(store: Store, ranking_id: int, receiver: str) -> Delivery:
    """The delivery of this ranking to this receiver; a new one begins at cursor 0.

    Raises ReceiverTaken when the receiver gets another ranking.
    """

    def make(connection: Connection) -> Row[Any]:
        new = upsert(connection, deliveries).values(ranking_id=ranking_id, receiver=receiver)
        connection.execute(new.on_conflict_do_nothing())
        return connection.execute(
            delivery_rows().add_columns(deliveries.c.ranking_id).where(deliveries.c.receiver == receiver)
        ).one()

    row = store.write(make)
    if row.ranking_id != ranking_id:
        raise ReceiverTaken(receiver, row.ranking)
    return Delivery(*tuple(row)[:-1])


def deliveries_of(store: Store, ranking_id: int) -> list[Delivery]:
    """A ranking's deliveries."""
    with store.reading() as connection:
        found = connection.execute(
            delivery_rows().where(deliveries.c.ranking_id == ranking_id).order_by(deliveries.c.id)
        )
        return [Delivery(*row) for row in found]


def delivery_rows() -> Any:
    num_refused = (
        select(func.count()).where(delivery_refusals.c.delivery_id == deliveries.c.id).scalar_subquery()
    )
    return select(
        deliveries.c.id,
        rankings.c.name.label("ranking"),
        deliveries.c.receiver,
        deliveries.c.cursor,
        num_refused,
        deliveries.c.delivered_at,
    ).join(rankings, rankings.c.id == deliveries.c.ranking_id)


def advance(store: Store, delivery_id: int, *, after: int, to: int, refused: Mapping[int, str]) -> int:
    """Notes that the changes after one cursor and up to another were accepted, except the refused ones.

    `refused` has reasons by cursor. Returns the delivery's cursor: not `to` if another process moved it.
    """

    def move(connection: Connection) -> int:
        moved = connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery_id, deliveries.c.cursor == after)
            .values(cursor=to, delivered_at=now_s())
        )
        if moved.rowcount:
            note_refusals(connection, delivery_id, refused)
        cursor: int = connection.execute(
            select(deliveries.c.cursor).where(deliveries.c.id == delivery_id)
        ).scalar_one()
        reach("before_cursor_commit")
        return cursor

    cursor = store.write(move)
    reach("after_cursor_commit")
    return cursor


def note_refusals(connection: Connection, delivery_id: int, refused: Mapping[int, str]) -> None:
    for cursor, reason in refused.items():
        values = {"reason": storable(reason), "refused_at": now_s()}
        new = upsert(connection, delivery_refusals).values(
            delivery_id=delivery_id, cursor=cursor, num_tries=1, **values
        )
        again = {**values, "num_tries": delivery_refusals.c.num_tries + 1}
        connection.execute(new.on_conflict_do_update(index_elements=["delivery_id", "cursor"], set_=again))


def refused_changes(
    store: Store, delivery: Delivery, ranking_id: int, *, after: int, limit: int
) -> list[ChangeRow]:
    """The next changes that the receiver refused, as they are now."""
    with store.reading() as connection:
        found = run(
            connection, f"{REFUSED} LIMIT ?", ranking_id, delivery.delivery_id, after, limit
        ).fetchall()
    return list(map(change_row, found))


def delete_outdated_refusals(store: Store, delivery: Delivery, ranking_id: int) -> None:
    """Deletes refusals whose pair has changed again: the feed has it under a later cursor."""

    def forget(connection: Connection) -> None:
        run(connection, DELETE_OUTDATED, delivery.delivery_id, ranking_id)

    store.write(forget)


def note_retried(
    store: Store, delivery: Delivery, tried: Sequence[ChangeRow], refused: Mapping[int, str]
) -> None:
    """Notes which refused changes were accepted when they were sent again, and which were not."""
    accepted = [row.cursor for row in tried if row.cursor not in refused]

    def note(connection: Connection) -> None:
        ours = delivery_refusals.c.delivery_id == delivery.delivery_id
        connection.execute(delete(delivery_refusals).where(ours, delivery_refusals.c.cursor.in_(accepted)))
        note_refusals(connection, delivery.delivery_id, refused)

    store.write(note)


def refusals(store: Store, delivery: Delivery, limit: int = 10) -> list[Refusal]:
    """The first refusals, with their reasons."""
    statement = (
        select(delivery_refusals.c.cursor, delivery_refusals.c.reason, delivery_refusals.c.num_tries)
        .where(delivery_refusals.c.delivery_id == delivery.delivery_id)
        .order_by(delivery_refusals.c.cursor)
        .limit(limit)
    )
    with store.reading() as connection:
        return [Refusal(*row) for row in connection.execute(statement)]


def restart(store: Store, delivery: Delivery) -> None:
    """Makes the delivery begin at cursor 0 again: the whole ranking, and every removal, is sent again."""

    def forget(connection: Connection) -> None:
        ours = delivery_refusals.c.delivery_id == delivery.delivery_id
        connection.execute(delete(delivery_refusals).where(ours))
        connection.execute(update(deliveries).where(deliveries.c.id == delivery.delivery_id).values(cursor=0))

    store.write(forget)

"""Deliveries: how far a receiver has taken a ranking's changes, and which it refused. Sends nothing."""

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
FORGET_MOVED = """
DELETE FROM delivery_refusals
WHERE delivery_id = ? AND NOT EXISTS (
    SELECT 1 FROM published_results
    WHERE published_results.ranking_id = ? AND published_results.cursor = delivery_refusals.cursor
)
"""


class Delivery(NamedTuple):
    """A receiver of a ranking; everything up to `cursor` was accepted or is among its refusals."""

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
        row = connection.execute(standing().where(deliveries.c.receiver == receiver)).one_or_none()
    return None if row is None else Delivery(*row)


def begin(store: Store, ranking_id: int, receiver: str) -> Delivery:
    """The delivery of this ranking to this receiver, from the beginning if it is new.

    Raises ReceiverTaken when the receiver has another ranking.
    """

    def make(connection: Connection) -> Row[Any]:
        new = upsert(connection, deliveries).values(ranking_id=ranking_id, receiver=receiver)
        connection.execute(new.on_conflict_do_nothing())
        return connection.execute(
            standing().add_columns(deliveries.c.ranking_id).where(deliveries.c.receiver == receiver)
        ).one()

    row = store.write(make)
    if row.ranking_id != ranking_id:
        raise ReceiverTaken(receiver, row.ranking)
    return Delivery(*tuple(row)[:-1])


def deliveries_of(store: Store, ranking_id: int) -> list[Delivery]:
    """A ranking's deliveries."""
    with store.reading() as connection:
        found = connection.execute(
            standing().where(deliveries.c.ranking_id == ranking_id).order_by(deliveries.c.id)
        )
        return [Delivery(*row) for row in found]


def standing() -> Any:
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
    """Notes that what lies between two cursors was accepted, but for what was refused, by cursor.

    Returns where the delivery stands now: elsewhere than `to` when another process moved it meanwhile.
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
    """The next changes the receiver refused, as they are still to be told."""
    with store.reading() as connection:
        found = run(
            connection, f"{REFUSED} LIMIT ?", ranking_id, delivery.delivery_id, after, limit
        ).fetchall()
    return list(map(change_row, found))


def forget_moved(store: Store, delivery: Delivery, ranking_id: int) -> None:
    """Forgets refusals whose pair has changed again: the feed tells it under a later cursor."""

    def forget(connection: Connection) -> None:
        run(connection, FORGET_MOVED, delivery.delivery_id, ranking_id)

    store.write(forget)


def settle_refusals(
    store: Store, delivery: Delivery, tried: Sequence[ChangeRow], refused: Mapping[int, str]
) -> None:
    """Notes what came of trying refused changes again."""
    accepted = [row.cursor for row in tried if row.cursor not in refused]

    def note(connection: Connection) -> None:
        ours = delivery_refusals.c.delivery_id == delivery.delivery_id
        connection.execute(delete(delivery_refusals).where(ours, delivery_refusals.c.cursor.in_(accepted)))
        note_refusals(connection, delivery.delivery_id, refused)

    store.write(note)


def refusals(store: Store, delivery: Delivery, limit: int = 10) -> list[Refusal]:
    """The first refusals with their reasons."""
    statement = (
        select(delivery_refusals.c.cursor, delivery_refusals.c.reason, delivery_refusals.c.num_tries)
        .where(delivery_refusals.c.delivery_id == delivery.delivery_id)
        .order_by(delivery_refusals.c.cursor)
        .limit(limit)
    )
    with store.reading() as connection:
        return [Refusal(*row) for row in connection.execute(statement)]


def restart(store: Store, delivery: Delivery) -> None:
    """Lets the delivery begin anew: everything that stands, and every removal, is told again."""

    def forget(connection: Connection) -> None:
        ours = delivery_refusals.c.delivery_id == delivery.delivery_id
        connection.execute(delete(delivery_refusals).where(ours))
        connection.execute(update(deliveries).where(deliveries.c.id == delivery.delivery_id).values(cursor=0))

    store.write(forget)

"""Named sets: collections of documents and sets of queries, found, listed and removed.

A set's version counts the syncs that changed something, so its id and version say what is in it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, select

from rankmill.db.errors import StillNeeded, UnknownName
from rankmill.db.schema.collections import collection_documents, collections, query_set_queries, query_sets
from rankmill.db.schema.schedules import schedules
from rankmill.db.schema.texts_and_scores import texts
from rankmill.db.store.storable import is_storable
from rankmill.db.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSet:
    """Collections or query sets: their noun, their two tables and the names of the columns that differ.

    `place` is the column a member has besides its text: a document's offset, a query's number.
    """

    noun: str
    members_noun: str
    table: Table
    members: Table
    parent_id: str
    member_id: str
    place: str
    count: str


COLLECTIONS = NamedSet(
    noun="collection",
    members_noun="document",
    table=collections,
    members=collection_documents,
    parent_id="collection_id",
    member_id="document_id",
    place="text_offset",
    count="num_documents",
)
QUERY_SETS = NamedSet(
    noun="query set",
    members_noun="query",
    table=query_sets,
    members=query_set_queries,
    parent_id="query_set_id",
    member_id="query_id",
    place="query_no",
    count="num_queries",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSetRow:
    """A collection or a query set; `version` counts the syncs that changed something."""

    name: str
    version: int
    num_members: int
    source_digest: str | None
    created_at: float
    synced_at: float


def lock_named_set(connection: Connection, named_set: NamedSet, name: str) -> tuple[int, str]:
    """The id and identity of the set of this name; no sync changes it before the transaction ends.

    Raises UnknownName.
    """
    row = connection.execute(by_name(named_set, name).with_for_update(read=True)).one_or_none()
    if row is None:
        raise UnknownName(named_set.noun, name)
    return row.id, identity_of(named_set, row)


def identity(store: Store, named_set: NamedSet, name: str) -> str:
    """An identifier that changes with the set's content. Raises UnknownName."""
    with store.reading() as connection:
        row = connection.execute(by_name(named_set, name)).one_or_none()
    if row is None:
        raise UnknownName(named_set.noun, name)
    return identity_of(named_set, row)


def identity_of(named_set: NamedSet, row: Row[Any]) -> str:
    return f"{named_set.noun} {row.id} version {row.version}"


def by_name(named_set: NamedSet, name: str) -> Any:
    return select(named_set.table).where(named_set.table.c.name == (name if is_storable(name) else ""))


def find(store: Store, named_set: NamedSet, name: str) -> NamedSetRow:
    """The set of this name. Raises UnknownName."""
    with store.reading() as connection:
        row = connection.execute(by_name(named_set, name)).one_or_none()
    if row is None:
        raise UnknownName(named_set.noun, name)
    return named_set_row(named_set, row)


def list_named_sets(store: Store, named_set: NamedSet) -> list[NamedSetRow]:
    """All collections, or all query sets, by name."""
    with store.reading() as connection:
        found = connection.execute(select(named_set.table).order_by(named_set.table.c.name)).all()
    return [named_set_row(named_set, row) for row in found]


def named_set_row(named_set: NamedSet, row: Row[Any]) -> NamedSetRow:
    return NamedSetRow(
        name=row.name,
        version=row.version,
        num_members=row._mapping[named_set.count],
        source_digest=row.source_digest,
        created_at=row.created_at,
        synced_at=row.synced_at,
    )


def num_bytes(store: Store, named_set: NamedSet, name: str) -> int:
    """The bytes of all texts of the set."""
    members, table = named_set.members, named_set.table
    joined = members.join(texts, texts.c.id == members.c.text_id).join(
        table, table.c.id == members.c[named_set.parent_id]
    )
    total = select(func.coalesce(func.sum(texts.c.num_bytes), 0)).select_from(joined)
    with store.reading() as connection:
        return int(connection.scalar(total.where(table.c.name == name)) or 0)


def remove(store: Store, named_set: NamedSet, name: str) -> int:
    """Removes the set and returns how many members it had. Jobs made from it keep their own.

    Raises UnknownName, StillNeeded.
    """

    def forget(connection: Connection) -> int:
        row = connection.execute(by_name(named_set, name).with_for_update()).one_or_none()
        if row is None:
            raise UnknownName(named_set.noun, name)
        of_schedules = list(
            connection.scalars(
                select(schedules.c.name)
                .where(schedules.c[named_set.parent_id] == row.id)
                .order_by(schedules.c.name)
            )
        )
        if of_schedules:
            raise StillNeeded(
                f"The {named_set.noun} {name!r} is ranked by schedule {', '.join(of_schedules)}. "
                f"Remove the schedule first: rankmill schedule remove {of_schedules[0]}"
            )
        gone = connection.execute(
            delete(named_set.members).where(named_set.members.c[named_set.parent_id] == row.id)
        ).rowcount
        connection.execute(delete(named_set.table).where(named_set.table.c.id == row.id))
        return gone

    return store.write(forget)

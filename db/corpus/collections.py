"""What is kept up to date under a name: collections of documents and sets of queries, found and listed.

A version counts the syncs that changed something, so name and version say what is in it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, select

from rankmill.db.errors import StillNeeded, UnknownName
from rankmill.db.schema.collections import collection_documents, collections, query_set_queries, query_sets
from rankmill.db.schema.schedules import schedules
from rankmill.db.store.storable import is_storable
from rankmill.db.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSet:
    """A kind of thing kept under a name: its word, its two tables and the columns that differ.

    `place` is the member's own column besides its text: a document's offset, a query's number.
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


def held_id(connection: Connection, kind: NamedSet, name: str) -> int:
    """The id of what has this name. Raises UnknownName."""
    return held(connection, kind, name)[0]


def held(connection: Connection, kind: NamedSet, name: str) -> tuple[int, str]:
    """The id and the identity of what has this name; no sync changes it before the transaction ends.

    Raises UnknownName.
    """
    row = connection.execute(named(kind, name).with_for_update(read=True)).one_or_none()
    if row is None:
        raise UnknownName(kind.noun, name)
    return row.id, identity_of(kind, row)


def identity(store: Store, kind: NamedSet, name: str) -> str:
    """What its content is now, in words that only the same content has. Raises UnknownName."""
    with store.reading() as connection:
        row = connection.execute(named(kind, name)).one_or_none()
    if row is None:
        raise UnknownName(kind.noun, name)
    return identity_of(kind, row)


def identity_of(kind: NamedSet, row: Row[Any]) -> str:
    return f"{kind.noun} {row.id} version {row.version}"


def named(kind: NamedSet, name: str) -> Any:
    return select(kind.table).where(kind.table.c.name == (name if is_storable(name) else ""))


def find(store: Store, kind: NamedSet, name: str) -> NamedSetRow:
    """What has this name. Raises UnknownName."""
    with store.reading() as connection:
        row = connection.execute(named(kind, name)).one_or_none()
    if row is None:
        raise UnknownName(kind.noun, name)
    return named_set_row(kind, row)


def list_named_sets(store: Store, kind: NamedSet) -> list[NamedSetRow]:
    """All of this kind, by name."""
    with store.reading() as connection:
        found = connection.execute(select(kind.table).order_by(kind.table.c.name)).all()
    return [named_set_row(kind, row) for row in found]


def named_set_row(kind: NamedSet, row: Row[Any]) -> NamedSetRow:
    return NamedSetRow(
        name=row.name,
        version=row.version,
        num_members=row._mapping[kind.count],
        source_digest=row.source_digest,
        created_at=row.created_at,
        synced_at=row.synced_at,
    )


def num_bytes(store: Store, kind: NamedSet, name: str) -> int:
    """The bytes of all its texts."""
    from rankmill.db.schema.texts_and_scores import texts

    members, table = kind.members, kind.table
    joined = members.join(texts, texts.c.id == members.c.text_id).join(
        table, table.c.id == members.c[kind.parent_id]
    )
    total = select(func.coalesce(func.sum(texts.c.num_bytes), 0)).select_from(joined)
    with store.reading() as connection:
        return int(connection.scalar(total.where(table.c.name == name)) or 0)


def remove(store: Store, kind: NamedSet, name: str) -> int:
    """Removes it and its members' ids; returns how many these were. Jobs made from it keep their own.

    Raises UnknownName, StillNeeded.
    """

    def forget(connection: Connection) -> int:
        row = connection.execute(named(kind, name).with_for_update()).one_or_none()
        if row is None:
            raise UnknownName(kind.noun, name)
        standing = list(
            connection.scalars(
                select(schedules.c.name)
                .where(schedules.c[kind.parent_id] == row.id)
                .order_by(schedules.c.name)
            )
        )
        if standing:
            raise StillNeeded(
                f"The {kind.noun} {name!r} is what schedule {', '.join(standing)} ranks. Remove that first: "
                f"rankmill schedule remove {standing[0]}"
            )
        gone = connection.execute(
            delete(kind.members).where(kind.members.c[kind.parent_id] == row.id)
        ).rowcount
        connection.execute(delete(kind.table).where(kind.table.c.id == row.id))
        return gone

    return store.write(forget)

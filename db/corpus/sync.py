"""Syncing: a collection or query set is made equal to what was read, in one visible step.

Texts are stored in chunks while they are read; ids and digests wait in a temporary table. Then one
transaction applies the difference. A trial stores and changes nothing.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, update

from rankmill.db.corpus.collections import NamedSet, by_name
from rankmill.db.corpus.texts import store_texts, text_chunks, text_identity
from rankmill.db.records.inputs import DocumentRow, QueryRow
from rankmill.db.runtime.failpoints import reach
from rankmill.db.store.bulk import insert_rows, run, upsert
from rankmill.db.store.clock import now_s
from rankmill.db.store.staging_session import InputSession
from rankmill.db.store.storable import check_id
from rankmill.db.store.store import Store
from rankmill.db.store.temporary_tables import check_distinct, create_index, create_tables, restore_durability

STAGED = """staged (
    read_no INTEGER {key}, id {name}, digest {bytes}, text_id BIGINT, place INTEGER, line INTEGER
)"""
STAGED_COLUMNS = ("read_no", "id", "digest", "text_id", "place", "line")

DIFFERENCE = """
SELECT
    coalesce(sum(CASE WHEN members.{member_id} IS NULL THEN 1 ELSE 0 END), 0),
    coalesce(sum(CASE WHEN texts.digest <> staged.digest THEN 1 ELSE 0 END), 0),
    coalesce(sum(CASE WHEN texts.digest = staged.digest THEN 1 ELSE 0 END), 0)
FROM staged
LEFT JOIN {members} AS members ON members.{parent_id} = ? AND members.{member_id} = staged.id
LEFT JOIN texts ON texts.id = members.text_id
"""
IS_GONE = "{parent_id} = ? AND NOT EXISTS (SELECT 1 FROM staged WHERE staged.id = {members}.{member_id})"
NUM_GONE = f"SELECT count(*) FROM {{members}} WHERE {IS_GONE}"  # noqa: S608
REMOVE = f"DELETE FROM {{members}} WHERE {IS_GONE}"  # noqa: S608
CHANGE = """
UPDATE {members} SET text_id = staged.text_id, {place} = staged.place FROM staged
WHERE {members}.{parent_id} = ? AND {members}.{member_id} = staged.id
    AND ({members}.text_id <> staged.text_id OR {members}.{place} <> staged.place)
"""
ADD = """
INSERT INTO {members} ({parent_id}, {member_id}, text_id, {place})
SELECT ?, staged.id, staged.text_id, staged.place FROM staged
WHERE NOT EXISTS (
    SELECT 1 FROM {members} AS members WHERE members.{parent_id} = ? AND members.{member_id} = staged.id
)
ORDER BY staged.id
"""


class Member(NamedTuple):
    """A document or query as the set is to hold it; `place` is explained at NamedSet."""

    id: str
    text: str
    place: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How many members a sync changes, or would change; compared by id and text."""

    num_added: int
    num_changed: int
    num_unchanged: int
    num_removed: int


class Sync(InputSession):
    """What a collection or query set is to hold: add what is read, then compare or apply."""

    def __init__(
        self, store: Store, connection: Connection, named_set: NamedSet, name: str, *, is_trial: bool
    ) -> None:
        super().__init__(store, connection)
        self.named_set, self.name, self.is_trial = named_set, name, is_trial
        self.num_read = 0
        self.names = {
            "members": named_set.members.name,
            "parent_id": named_set.parent_id,
            "member_id": named_set.member_id,
            "place": named_set.place,
        }
        self.in_transaction(lambda connection: create_tables(connection, [STAGED]))

    def add_documents(self, documents: Iterable[DocumentRow]) -> None:
        """Adds the documents the set is to hold. Raises DuplicateId, UnstorableText."""
        self.add(Member(row.document_id, row.text, row.text_offset, row.line) for row in documents)

    def add_queries(self, queries: Iterable[QueryRow]) -> None:
        """Adds the queries the set is to hold, in order. Raises DuplicateId, UnstorableText."""
        self.add(Member(row.query_id, row.text, number, row.line) for number, row in enumerate(queries))

    def add(self, members: Iterable[Member]) -> None:
        for chunk in text_chunks(members):
            self.add_chunk(chunk)
        self.in_transaction(self.check_distinct)

    def add_chunk(self, chunk: list[Member]) -> None:
        noun = self.named_set.members_noun
        for member in chunk:
            check_id(member.id, noun)
        identities = [text_identity(member.text, f"the text of {noun} {member.id!r}") for member in chunk]

        def store_chunk(connection: Connection) -> None:
            read = zip(identities, (member.text for member in chunk), strict=True)
            ids = {} if self.is_trial else store_texts(connection, dict(read))
            staged = (
                (number, member.id, digest, ids.get(digest), member.place, member.line)
                for number, (member, (digest, _)) in enumerate(
                    zip(chunk, identities, strict=True), self.num_read
                )
            )
            insert_rows(connection, "staged", STAGED_COLUMNS, staged)

        self.in_transaction(store_chunk, writes=not self.is_trial)
        self.num_read += len(chunk)

    def check_distinct(self, connection: Connection) -> None:
        create_index(connection, "staged_ids", "staged", "id")
        check_distinct(connection, self.named_set.members_noun, "staged", "id", "read_no")

    def compare(self) -> Difference:
        """How the store differs from what was read."""

        def look(connection: Connection) -> Difference:
            row = connection.execute(by_name(self.named_set, self.name)).one_or_none()
            return self.difference(connection, 0 if row is None else row.id)

        return self.in_transaction(look)

    def apply(self, source_digest: str | None) -> Difference:
        """Makes the store equal to what was read, in one transaction. A sync at the same time waits for it.

        `source_digest` stands for the source that was read; see `note_same_source`.
        """
        restore_durability(self.connection)

        def change(connection: Connection) -> Difference:
            parent_id = self.locked_id(connection)
            difference = self.difference(connection, parent_id)
            num_changes = self.run(connection, REMOVE, parent_id).rowcount
            num_changes += self.run(connection, CHANGE, parent_id).rowcount
            num_changes += self.run(connection, ADD, parent_id, parent_id).rowcount
            table = self.named_set.table
            values: dict[str, Any] = {
                self.named_set.count: self.num_read,
                "version": table.c.version + (1 if num_changes else 0),
                "source_digest": source_digest,
                "synced_at": now_s(),
            }
            connection.execute(update(table).where(table.c.id == parent_id).values(values))
            reach("before_sync_commit")
            return difference

        return self.in_transaction(change, writes=True)

    def difference(self, connection: Connection, parent_id: int) -> Difference:
        added, changed, unchanged = self.run(connection, DIFFERENCE, parent_id).fetchone()
        removed = self.run(connection, NUM_GONE, parent_id).fetchone()[0]
        return Difference(
            num_added=int(added),
            num_changed=int(changed),
            num_unchanged=int(unchanged),
            num_removed=int(removed),
        )

    def locked_id(self, connection: Connection) -> int:
        """The id of the set of this name, made if it is new, and locked."""
        table = self.named_set.table
        row = upsert(connection, table).values(
            {
                "name": self.name,
                "version": 0,
                self.named_set.count: 0,
                "created_at": now_s(),
                "synced_at": now_s(),
            }
        )
        connection.execute(row.on_conflict_do_nothing(index_elements=["name"]))
        found: int = connection.execute(
            select(table.c.id).where(table.c.name == self.name).with_for_update()
        ).scalar_one()
        return found

    def run(self, connection: Connection, statement: str, *parameters: object) -> Any:
        return run(connection, statement.format(**self.names), *parameters)


@contextmanager
def open_sync(store: Store, named_set: NamedSet, name: str, *, is_trial: bool = False) -> Iterator[Sync]:
    """A new sync. What has not been applied when the block ends is dropped."""
    with (
        store.connection() as connection,
        closing(Sync(store, connection, named_set, name, is_trial=is_trial)) as sync,
    ):
        yield sync


def note_same_source(store: Store, named_set: NamedSet, name: str, source_digest: str) -> bool:
    """Whether the set was last synced from this very source; if so, notes that it was synced now."""
    table = named_set.table
    is_same = (table.c.name == name) & (table.c.source_digest == source_digest)
    same = update(table).where(is_same).values(synced_at=now_s())
    return store.write(lambda connection: connection.execute(same).rowcount > 0)

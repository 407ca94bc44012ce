"""Texts, each stored once under its digest. Knows nothing of queries, documents or jobs."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection

from rankmill.db.errors import UnstorableText
from rankmill.db.store.bulk import chunks, driver, insert_rows, is_sqlite

# SQLite has no array to bind digests in; it takes 32,766 parameters at most.
MAX_PARAMETERS = 1_000


class TextIdentity(NamedTuple):
    """A text's identity: SHA-256 of its UTF-8, and how many bytes that is."""

    digest: bytes
    num_bytes: int


def text_identity(text: str, what: str) -> TextIdentity:
    """The identity of `text`. Raises UnstorableText, which calls the text `what`."""
    if "\0" in text:
        raise UnstorableText(what, "it holds a NUL character")
    try:
        utf8 = text.encode()
    except UnicodeEncodeError as error:
        raise UnstorableText(what, f"it holds a lone surrogate at position {error.start}") from None
    return TextIdentity(hashlib.sha256(utf8).digest(), len(utf8))


def store_texts(connection: Connection, texts: Mapping[TextIdentity, str]) -> dict[bytes, int]:
    """Stores the new texts; returns the ids of all, by digest. The transaction must be a writing one."""
    digests = [identity.digest for identity in texts]
    ids = find_texts(connection, digests)
    # In the order of digests: two drafts with the same texts wait for each other instead of deadlocking.
    new = sorted((*identity, text) for identity, text in texts.items() if identity.digest not in ids)
    if new:
        insert_texts(connection, new)
        ids |= find_texts(connection, [digest for digest, _, _ in new])
    return ids


def find_texts(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, int]:
    """The ids of the stored ones of these texts, by digest."""
    cursor = driver(connection).cursor()
    if not is_sqlite(connection):
        cursor.execute("SELECT digest, id FROM texts WHERE digest = ANY(%s)", (digests,))
        return dict(cursor)
    found: dict[bytes, int] = {}
    for chunk in chunks(digests, MAX_PARAMETERS):
        marks = ", ".join("?" * len(chunk))
        cursor.execute(f"SELECT digest, id FROM texts WHERE digest IN ({marks})", chunk)  # noqa: S608
        found.update(cursor)
    return found


def insert_texts(connection: Connection, new: Sequence[tuple[bytes, int, str]]) -> None:
    if is_sqlite(connection):
        driver(connection).executemany(
            "INSERT INTO texts (digest, num_bytes, content) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", new
        )
        return
    cursor = driver(connection).cursor()
    cursor.execute(
        "CREATE TEMPORARY TABLE IF NOT EXISTS draft_texts (digest bytea, num_bytes integer, content text) "
        "ON COMMIT DELETE ROWS"
    )
    insert_rows(connection, "draft_texts", ("digest", "num_bytes", "content"), new)
    cursor.execute(
        "INSERT INTO texts (digest, num_bytes, content) SELECT digest, num_bytes, content FROM draft_texts "
        "ORDER BY digest ON CONFLICT DO NOTHING"
    )


class HasText(Protocol):
    """A row with a text."""

    @property
    def text(self) -> str: ...


R = TypeVar("R", bound=HasText)

ROWS_PER_CHUNK = 10_000
MAX_CHUNK_CHARS = 4 * 2**20


def text_chunks(rows: Iterable[R]) -> Iterator[list[R]]:
    """The rows in lists, each bounded by its number of rows and of characters."""
    chunk: list[R] = []
    num_chars = 0
    for row in rows:
        chunk.append(row)
        num_chars += len(row.text)
        if len(chunk) >= ROWS_PER_CHUNK or num_chars >= MAX_CHUNK_CHARS:
            yield chunk
            chunk, num_chars = [], 0
    if chunk:
        yield chunk

"""Whether the store can still be written: found out by writing, before a worker's scores have no place.

Knows the disk of a SQLite file, too: a full one may take a small write over the remains of a large one that
failed, so the room left counts as well.
"""

import os

from sqlalchemy import Connection, update

from rankmill.db.errors import StoreFull
from rankmill.db.schema.jobs import jobs
from rankmill.db.store.clock import now_s
from rankmill.db.store.store import Store
from rankmill.db.store.urls import parse_url, sqlite_path

MIN_FREE_BYTES = 64 * 1024


def note_watched(store: Store, job_id: int) -> None:
    """Notes that somebody watches the job. Raises StoreFull, StoreReadOnly, StoreBusy, StoreUnavailable."""

    def note(connection: Connection) -> None:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(watched_at=now_s()))

    store.write(note)
    check_room(store)


def check_room(store: Store) -> None:
    """Raises StoreFull when the disk of a SQLite store has next to no room left."""
    if store.dialect != "sqlite":
        return
    try:
        disk = os.statvfs(sqlite_path(parse_url(store.url)).parent)
    except OSError:
        return  # what is wrong there is the next statement's to tell
    num_blocks = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    if num_blocks * disk.f_frsize < MIN_FREE_BYTES:
        raise StoreFull(store.safe_url, f"its disk has less than {MIN_FREE_BYTES // 1024} KiB free")

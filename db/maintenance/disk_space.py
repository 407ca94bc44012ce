"""Whether the store can still be written. This is found out by writing, before workers have scores to land.

On SQLite the free space of the disk counts, too: a full disk may take a small write where a large one failed.
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
    """Notes that the job is watched. Raises StoreFull, StoreReadOnly, StoreBusy, StoreUnavailable."""

    def note(connection: Connection) -> None:
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(watched_at=now_s()))

    store.write(note)
    check_free_space(store)


def check_free_space(store: Store) -> None:
    """Raises StoreFull when the disk of a SQLite store has less than MIN_FREE_BYTES free."""
    if store.dialect != "sqlite":
        return
    try:
        disk = os.statvfs(sqlite_path(parse_url(store.url)).parent)
    except OSError:
        return  # the next statement will say what is wrong there
    num_blocks = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail
    if num_blocks * disk.f_frsize < MIN_FREE_BYTES:
        raise StoreFull(store.safe_url, f"its disk has less than {MIN_FREE_BYTES // 1024} KiB free")

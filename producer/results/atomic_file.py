"""A file that appears whole or not at all: written beside its final name, then renamed.

The unfinished file of a killed process is removed by the next write into the same folder; a living process
holds a lock on its own. Knows nothing of what is written.
"""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_PREFIX, _SUFFIX = ".rankmill-", ".unfinished"
_YOUNG_S = 60.0


@contextmanager
def atomic_file(path: Path, *, buffer_bytes: int) -> Iterator[BinaryIO]:
    """A stream whose content is at `path` once the block has ended; nothing is left if the block raises."""
    target = path.resolve()
    _remove_abandoned(target.parent)
    unfinished = target.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
    try:
        with unfinished.open("xb", buffering=buffer_bytes) as stream:
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                os.fchmod(stream.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            unfinished.replace(target)  # before the lock goes
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _remove_abandoned(folder: Path) -> None:
    """Removes what dead processes of this user left. Where there are no locks, nothing is removed."""
    for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError), open(left, "rb", opener=_open_without_links) as stream:
            status = os.fstat(stream.fileno())
            is_young = time.time() - status.st_mtime < _YOUNG_S  # it may not be locked yet
            if is_young or status.st_uid != os.geteuid():
                continue
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def _open_without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _sync_folder(folder: Path) -> None:
    # Some file systems cannot do this; the rename is then as durable as they make it.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

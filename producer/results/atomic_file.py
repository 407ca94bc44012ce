"""A file that appears whole or not at all: written beside its final name, then renamed over it.

What a killed process left half-written is swept at the next write into the same folder: whoever writes
holds a lock on its file for as long as it lives. Knows nothing of what is written.
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
    """A stream whose content stands under `path` once the block has ended; nothing is left if it raises."""
    target = path.resolve()
    _sweep(target.parent)
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


def _sweep(folder: Path) -> None:
    """Removes what this user's dead processes left; where locks cannot tell, nothing is touched."""
    for left in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError), open(left, "rb", opener=_unfollowed) as stream:
            status = os.fstat(stream.fileno())
            is_young = time.time() - status.st_mtime < _YOUNG_S  # not locked yet, perhaps
            if is_young or status.st_uid != os.geteuid():
                continue
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def _unfollowed(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _sync_folder(folder: Path) -> None:
    # Some file systems cannot; the rename is then as durable as they make it.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

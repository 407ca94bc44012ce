"""A file as a source: known by the digest of its bytes, and refused when it changes while it is read."""

import hashlib
import os
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from rankmill.db.store.store import Store
from rankmill.producer.errors import InputError
from rankmill.producer.sources.lines import FilePath, open_file, unreadable

D = TypeVar("D")
R = TypeVar("R")


class FileSource(Generic[D, R]):
    """A file. `read` opens it and yields its rows; `add` adds them to a draft."""

    def __init__(
        self, path: FilePath, read: Callable[[], Iterable[R]], add: Callable[[D, Iterable[R]], None]
    ) -> None:
        self.label = os.fspath(path)
        self._path, self._read, self._add = path, read, add
        self._stamp: tuple[int, ...] | None = None
        self._digest: str | None = None

    def identity(self, store: Store) -> str:  # noqa: ARG002  (only stored sets are looked up)
        # The stamp comes first, so that a write while the digest is taken is seen, too.
        self._stamp = stamp_of(self._path)
        self._digest = content_digest(self._path)
        return self._digest

    def enter(self, draft: D) -> str:
        assert self._digest is not None, "bug: a file is digested before it is read"
        self._add(draft, self._read())
        return self._digest

    def check_unchanged(self) -> None:
        if self._stamp is None or stamp_of(self._path) != self._stamp:
            raise InputError(
                self._path, None, "changed while it was read", "Run it again when it is complete."
            )


def content_digest(path: FilePath) -> str:
    """SHA-256 in hex of a file's bytes as they lie, streamed. Raises InputError if it cannot be read."""
    with open_file(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise unreadable(path, None, error) from error


def stamp_of(path: FilePath) -> tuple[int, ...] | None:
    """Device, inode, size and mtime; None if the file is missing."""
    try:
        status = os.stat(path)  # noqa: PTH116  (a str is as good as a Path here)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

"""Digests of inputs, for the key that makes the same submission the same job."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rankmill.producer.errors import InputError
from rankmill.producer.sources.lines import FilePath, open_file, unreadable

T = TypeVar("T", bound=tuple[object, ...])


def content_digest(path: FilePath) -> str:
    """SHA-256 in hex of a file's bytes as they lie, streamed. Raises InputError if it cannot be read."""
    with open_file(path) as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise unreadable(path, None, error) from error


class RowsDigest:
    """A digest of rows that are not a file: pass them through, then ask for the digest."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def passing(self, rows: Iterable[T]) -> Iterator[T]:
        """Yield the same rows, adding each to the digest."""
        for row in rows:
            self._sha256.update(repr(tuple(row)).encode())
            yield row

    def hexdigest(self) -> str:
        """SHA-256 in hex of the rows passed so far."""
        return self._sha256.hexdigest()


def stamp_of(path: FilePath) -> tuple[int, ...] | None:
    """What changes when the file is written to or another takes its place; None when it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116  (a str is as good as a Path here)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def check_unchanged(path: FilePath, stamp: tuple[int, ...] | None) -> None:
    """Raises InputError if the file was written to since it had this stamp."""
    if stamp is None or stamp_of(path) != stamp:
        raise InputError(path, None, "changed while it was read", "Run it again when it is complete.")

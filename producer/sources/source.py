"""A source: what queries, candidates or documents come from, as a job and a sync take them.

A file and values from Python are here; what the store holds under a name is in `stored`. Another kind of
input is another class with these four members, and a line in `kinds`.
"""

import os
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Generic, Protocol, TypeVar

from rankmill.db.errors import DuplicateId
from rankmill.db.records.inputs import DocumentRow, QueryRow
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import Draft
from rankmill.producer.errors import InputError
from rankmill.producer.sources.digests import RowsDigest, check_unchanged, content_digest, stamp_of
from rankmill.producer.sources.lines import FilePath

R = TypeVar("R", bound=tuple[object, ...])
D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)


class Staging(Protocol):
    """Where rows go: the draft of a job, or a sync."""

    def add_documents(self, documents: Iterable[DocumentRow]) -> None: ...

    def add_queries(self, queries: Iterable[QueryRow]) -> None: ...


class Source(Protocol[D_contra]):
    """One input of a job or of a sync. `label` names it in messages: a path, or words in angle brackets."""

    @property
    def label(self) -> str: ...

    def identity(self, store: Store) -> str | None:
        """Words that only the same content has; None where these are known only once it is read.

        Raises InputError, UnknownName.
        """

    def enter(self, draft: D_contra) -> str:
        """Adds all of it to the draft and returns the identity of what was added. Raises InputError."""

    def check_unchanged(self) -> None:
        """Raises InputError if it is no longer what its identity says."""


class FileSource(Generic[D, R]):
    """A file, known by the digest of its bytes. `rows` reads it when asked for the first row."""

    def __init__(self, path: FilePath, rows: Iterable[R], add: Callable[[D, Iterable[R]], None]) -> None:
        self.label = os.fspath(path)
        self._path, self._rows, self._add = path, rows, add
        self._stamp: tuple[int, ...] | None = None

    @cached_property
    def _digest(self) -> str:
        # The stamp comes first, so that a write while the digest is taken is seen, too.
        self._stamp = stamp_of(self._path)
        return content_digest(self._path)

    def identity(self, store: Store) -> str:  # noqa: ARG002  (only a stored set is looked up)
        return self._digest

    def enter(self, draft: D) -> str:
        digest = self._digest
        self._add(draft, self._rows)
        return digest

    def check_unchanged(self) -> None:
        check_unchanged(self._path, self._stamp)


class ValueSource(Generic[D, R]):
    """Values from Python, digested while they are read: they may be an iterator, which is read once."""

    def __init__(self, label: str, rows: Iterable[R], add: Callable[[D, Iterable[R]], None]) -> None:
        self.label = label
        self._rows, self._add = rows, add

    def identity(self, store: Store) -> None:  # noqa: ARG002  (as above)
        return None

    def enter(self, draft: D) -> str:
        digest = RowsDigest()
        self._add(draft, digest.passing(self._rows))
        return f"rows {digest.hexdigest()}"

    def check_unchanged(self) -> None:
        """Nobody else writes to values."""


class AllPairs:
    """In place of candidates: every query with every document."""

    label = "<candidates>"

    def identity(self, store: Store) -> str:  # noqa: ARG002  (as above)
        return "all pairs"

    def enter(self, draft: Draft) -> str:
        draft.use_all_pairs()
        return "all pairs"

    def check_unchanged(self) -> None:
        """There is nothing to change."""


def read_source(source: Source[D], draft: D) -> str:
    """Enters the source; returns its identity. Raises InputError, also for an id that occurs twice."""
    try:
        return source.enter(draft)
    except DuplicateId as error:
        remedy = "Remove one of the two lines." if error.is_same_text else "Give each its own id."
        raise InputError(source.label, error.line, str(error), remedy) from error

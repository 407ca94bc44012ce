"""A source: what queries, candidates or documents come from, as a job and a sync take them.

Kinds of sources: a file, values from Python, a collection or query set in the store, and all pairs. Another
kind is a class with the four members of `Source` in a file of its own, and a line in `kinds`.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from rankmill.db.errors import DuplicateId
from rankmill.db.records.inputs import DocumentRow, QueryRow
from rankmill.db.store.store import Store
from rankmill.producer.errors import InputError

D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)


class Source(Protocol[D_contra]):
    """One input of a job or of a sync. `label` names it in messages: a path, or words in angle brackets."""

    @property
    def label(self) -> str: ...

    def identity(self, store: Store) -> str | None:
        """A string that identifies the content; None if it must be read first.

        Is asked for before `enter`. Raises InputError, UnknownName.
        """

    def enter(self, draft: D_contra) -> str:
        """Adds all of it to the draft and returns the identity of what was added.

        Raises InputError, DuplicateId, UnknownId, UnknownName.
        """

    def check_unchanged(self) -> None:
        """Raises InputError if it is no longer what its identity says."""


class Staging(Protocol):
    """What documents and queries are added to one by one: the draft of a job, or a sync."""

    def add_documents(self, documents: Iterable[DocumentRow]) -> None: ...

    def add_queries(self, queries: Iterable[QueryRow]) -> None: ...


def read_source(source: Source[D], draft: D) -> str:
    """Enters the source; returns its identity. Raises InputError, also for an id that occurs twice."""
    try:
        return source.enter(draft)
    except DuplicateId as error:
        remedy = "Remove one of the two lines." if error.is_same_text else "Give each its own id."
        raise InputError(source.label, error.line, str(error), remedy) from error

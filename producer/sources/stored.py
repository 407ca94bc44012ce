"""Sources that read no file: a collection or query set in the store, and all pairs."""

from dataclasses import dataclass

from rankmill.db.corpus.collections import COLLECTIONS, QUERY_SETS, identity
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import Draft


@dataclass(frozen=True, slots=True)
class Collection:
    """The documents of a collection, as they are when the job is submitted."""

    name: str

    @property
    def label(self) -> str:
        return f"<collection {self.name}>"

    def identity(self, store: Store) -> str:
        return identity(store, COLLECTIONS, self.name)

    def enter(self, draft: Draft) -> str:
        return draft.use_collection(self.name)

    def check_unchanged(self) -> None:
        """A job takes one version whole: a sync during its submission changes nothing of it."""


@dataclass(frozen=True, slots=True)
class QuerySet:
    """The queries of a query set, as they are when the job is submitted."""

    name: str

    @property
    def label(self) -> str:
        return f"<query set {self.name}>"

    def identity(self, store: Store) -> str:
        return identity(store, QUERY_SETS, self.name)

    def enter(self, draft: Draft) -> str:
        return draft.use_query_set(self.name)

    def check_unchanged(self) -> None:
        """As for a collection."""


class AllPairs:
    """Every query with every document, in place of candidates."""

    label = "<candidates>"

    def identity(self, store: Store) -> str:  # noqa: ARG002  (it is the same everywhere)
        return "all pairs"

    def enter(self, draft: Draft) -> str:
        draft.use_all_pairs()
        return "all pairs"

    def check_unchanged(self) -> None:
        """There is nothing to change."""

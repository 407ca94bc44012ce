"""Sources in the store: a collection in the place of a corpus, a query set in that of queries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Collection:
    """The documents of a collection, as they are when the job is submitted."""

    name: str


@dataclass(frozen=True, slots=True)
class QuerySet:
    """The queries of a query set, as they are when the job is submitted."""

    name: str

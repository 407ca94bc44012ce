"""Bulk reranking: cross-encoder scores for every query and document, in a SQL table by the morning.

`from rankmill import run, submit, watch, results, Collection, QuerySet` is the whole Python interface. Each
name is loaded when it is first asked for, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankmill.producer.api import results, run, submit, watch
    from rankmill.producer.sources.stored import Collection, QuerySet

__all__ = ["Collection", "QuerySet", "results", "run", "submit", "watch"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rankmill.producer import api
    from rankmill.producer.sources import stored

    return getattr(stored if name in ("Collection", "QuerySet") else api, name)

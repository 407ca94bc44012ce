"""The side of the person with the corpus: reads it, records jobs, rings the doorbell, hands out results.

Stands on db and knows nothing of worker, models or tensors. The way in from Python is
`from producer import run, submit, watch, results`; each is loaded when first asked for, so that importing
the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from producer.python_api import results, run, submit, watch
    from producer.sources import Collection, QuerySet

__all__ = ["Collection", "QuerySet", "results", "run", "submit", "watch"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from producer import python_api, sources

    return getattr(sources if name in ("Collection", "QuerySet") else python_api, name)

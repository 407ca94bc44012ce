"""How output begins: the store is opened, and standard output stands ready for tables or JSON."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rankmill.db.store.store import Store
import json

from rich.console import Console

from rankmill.db.store.store import Store


def opened_store(store: str | None) -> "Store":
    """The store that --store or the settings name."""
    from rankmill.db.store.opening import open_store
    from rankmill.producer.settings import settings_from

    return open_store(settings_from({"store": store}).store)


def standard_output() -> Console:
    """Standard output for tables: no markup from strangers' text."""
    return Console(highlight=False, emoji=False, markup=False)


def print_json(facts: object) -> None:
    print(json.dumps(facts, ensure_ascii=False))  # noqa: T201

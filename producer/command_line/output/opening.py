"""What commands begin with: the open store, and standard output for tables or JSON.

Commands import this when help is asked for, so it imports nothing heavy itself.
"""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from rankmill.db.store.store import Store


def opened_store(store: str | None) -> "Store":
    """The store that --store or the settings name. Raises UsageError and the store's errors."""
    from rankmill.db.store.opening import open_store
    from rankmill.producer.settings import settings_from

    return open_store(settings_from({"store": store}).store)


def standard_output() -> "Console":
    """Standard output for tables; text of strangers is not read as markup."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False)


def print_json(facts: object) -> None:
    print(json.dumps(facts, ensure_ascii=False))  # noqa: T201

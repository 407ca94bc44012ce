"""What may be the name of a job, a schedule, a ranking, a collection or a query set: one rule for all."""

from collections.abc import Callable

from rankmill.db.errors import UnknownJob, UnknownName, UnknownRanking
from rankmill.producer.errors import UsageError

MAX_NAME_CHARS = 200


def check_name(name: str, noun: str, find: Callable[[str], object] | None = None) -> None:
    """Raises UsageError for what cannot be the name of something new.

    `find` raises unless something has the name already. That may keep it: earlier versions accepted spaces
    around the names of jobs and rankings, and digits only as the names of collections and query sets.
    """
    if _is_fit(name) or (find is not None and _is_there(find, name)):
        return
    raise UsageError(
        f"A {noun} cannot be named {name[:40]!r}. A name has 1 to {MAX_NAME_CHARS} characters, no space at "
        "either end, and not only digits, which are ids."
    )


def _is_fit(name: str) -> bool:
    is_word = bool(name) and name == name.strip() and name.isprintable() and not name.isdecimal()
    return is_word and len(name) <= MAX_NAME_CHARS


def _is_there(find: Callable[[str], object], name: str) -> bool:
    try:
        find(name)
    except (UnknownJob, UnknownName, UnknownRanking):
        return False
    return True

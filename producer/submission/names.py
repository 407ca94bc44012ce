"""What may be the name of a job, a schedule, a ranking, a collection or a query set: one rule for all."""

from collections.abc import Callable

from rankmill.db.errors import UnknownJob, UnknownName, UnknownRanking
from rankmill.producer.errors import UsageError

MAX_NAME_CHARS = 200


def check_name(name: str, noun: str, find: Callable[[str], object] | None = None) -> None:
    """Raises UsageError for what cannot be the name of something new.

    `find` raises if the name is unknown. An existing name stays valid, because earlier versions allowed more.
    """
    if _is_valid(name) or (find is not None and _exists(find, name)):
        return
    raise UsageError(
        f"A {noun} cannot be named {name[:40]!r}. A name has 1 to {MAX_NAME_CHARS} characters, no space at "
        "either end, and not only digits, which are ids."
    )


def _is_valid(name: str) -> bool:
    is_word = bool(name) and name == name.strip() and name.isprintable() and not name.isdecimal()
    return is_word and len(name) <= MAX_NAME_CHARS


def _exists(find: Callable[[str], object], name: str) -> bool:
    try:
        find(name)
    except (UnknownJob, UnknownName, UnknownRanking):
        return False
    return True

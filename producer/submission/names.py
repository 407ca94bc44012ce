"""What may be the name of a job, a ranking, a collection or a query set."""

from rankmill.producer.errors import UsageError

MAX_NAME_CHARS = 200


def check_name(name: str | None, kind: str) -> None:
    """Raises UsageError for what is no name of a job or a ranking."""
    if name is None:
        return
    if len(name) > MAX_NAME_CHARS:
        raise UsageError(
            f"The name {name[:20]!r}... is too long: a {kind}'s has {MAX_NAME_CHARS} letters or less."
        )
    if not name.strip() or name.isdecimal() or not name.isprintable():
        raise UsageError(
            f"A {kind} cannot be named {name!r}: use a word, and not only digits, which are ids."
        )

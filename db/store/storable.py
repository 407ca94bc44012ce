"""What both databases can hold: ids are checked, and words for people are made to fit."""

from rankmill.db.errors import UnstorableText

MAX_REASON_CHARS = 2_000


def is_storable(text: str) -> bool:
    """Whether both databases can hold `text`: no NUL, no lone surrogate."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> str:
    """`text` made storable, for words that people read: characters are replaced and the end is truncated."""
    return (
        text[:MAX_REASON_CHARS].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    )


def check_id(id_: str, kind: str) -> None:
    """Raises UnstorableText for an id that cannot be stored. `kind` says what has the id."""
    if not is_storable(id_):
        raise UnstorableText(f"{kind} id {id_!r}", "it holds a NUL character or a lone surrogate")

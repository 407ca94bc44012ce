"""What an id, a text and a JSON line must be. Pure checks; knows nothing of files or places.

An id is a string of 1 to 512 characters without control characters or line separators, so that it can
stand in one cell of a table; a JSON integer is taken as its digits. Spaces are allowed (a TREC run alone
cannot hold them, and is refused when written). A text is any string that UTF-8 can hold, without NUL,
with something besides white space in it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from rankmill.producer.errors import InputError

MAX_ID_CHARS = 512

_UNFIT_IN_IDS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TYPE_NAMES = {bool: "a boolean", int: "a number", float: "a number", type(None): "null", str: "a string"}

Place = tuple[int, str]
T = TypeVar("T")


class Refused(Exception):
    """A value is not acceptable, and how to mend it; whoever knows the place makes it an InputError."""

    def __init__(self, problem: str, remedy: str = "Fix or remove this line.") -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)

    def at(self, name: str, line: int) -> InputError:
        remedy = self.remedy.replace("this line", "this item") if name.startswith("<") else self.remedy
        return InputError(name, line, self.problem, remedy)


def json_object(line: str) -> dict[str, Any]:
    """The JSON object a line holds. Raises Refused."""
    try:
        parsed = json.loads(line)
    except json.JSONDecodeError as error:
        joint = " column" if error.msg.endswith(" at") else " at column"
        raise Refused(f"not valid JSON: {error.msg}{joint} {error.pos + 1}") from None
    except RecursionError:
        raise Refused("not valid JSON: nested too deeply") from None
    except ValueError:
        raise Refused("not valid JSON: a number has too many digits") from None
    if not isinstance(parsed, dict):
        remedy = "Write one object per line; for one large array: jq -c '.[]' FILE."
        raise Refused(f"the line is {type_name(parsed)}, not a JSON object", remedy)
    return parsed


def id_of(record: Mapping[str, Any]) -> str:
    """The id a record carries as `_id` (which wins) or `id`. Raises Refused."""
    for field in ("_id", "id"):
        if field in record:
            return checked_id(record[field], field)
    raise Refused("there is no `_id` or `id` field")


def checked_id(value: object, field: str) -> str:
    """The id as a string; integers are taken as their digits. Raises Refused."""
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        raise Refused(f"`{field}` is {type_name(value)}, not a string or an integer")
    if 0 < len(value) <= MAX_ID_CHARS and value.isprintable() and value.strip():
        return value
    if not value.strip():
        raise Refused(f"`{field}` is empty")
    if len(value) > MAX_ID_CHARS:
        raise Refused(f"`{field}` has {len(value):,} characters; an id has at most {MAX_ID_CHARS}")
    if unfit := _UNFIT_IN_IDS.search(value):
        raise Refused(f"`{field}` has the character U+{ord(unfit[0]):04X}, which an id cannot hold")
    return value


def text_of(record: Mapping[str, Any], field: str) -> str:
    """The string in a field, perhaps empty. Raises Refused if it is absent or no storable string."""
    try:
        value = record[field]
    except KeyError:
        raise Refused(f"there is no `{field}` field") from None
    return checked_text(value, field)


def checked_text(value: object, field: str) -> str:
    """The string, perhaps empty. Raises Refused for other types, NUL and lone surrogates."""
    if not isinstance(value, str):
        raise Refused(f"`{field}` is {type_name(value)}, not a string")
    nul = value.find("\0")
    if nul >= 0:
        raise Refused(f"`{field}` has a NUL (U+0000) at character {nul + 1}", "Remove it.")
    try:
        value.isascii() or value.encode()
    except UnicodeEncodeError as error:
        problem = (
            f"`{field}` has a lone surrogate (U+{ord(value[error.start]):04X}) at character {error.start + 1}"
        )
        raise Refused(problem, "It is half of a character: write the other half or remove it.") from None
    return value


def type_name(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return _TYPE_NAMES.get(type(value), f"of type {type(value).__name__}")


def numbered(source: Iterable[T], name: str) -> Iterator[tuple[int, T]]:
    """Number an iterable's items from 1. Raises InputError when there are none."""
    position = 0
    for position, value in enumerate(source, 1):
        yield position, value
    if not position:
        raise InputError(name, None, "there is nothing in it", "Give at least one.")

"""What an id, a text and a JSON line must be. Pure checks; know nothing of files or lines.

An id is a string of 1 to 512 characters without control characters or line separators, so that it fits into
one cell of a table; a JSON integer becomes its digits. Spaces are allowed, but a TREC run cannot hold such an
id. A text is any string without NUL that UTF-8 can hold and that is not only white space.
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


class InvalidValue(Exception):
    """What is wrong with a value and what to do; the caller adds the place with `at`."""

    def __init__(self, problem: str, remedy: str = "Fix or remove this line.") -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)

    def at(self, name: str, line: int) -> InputError:
        remedy = self.remedy.replace("this line", "this item") if name.startswith("<") else self.remedy
        return InputError(name, line, self.problem, remedy)


def json_object(line: str) -> dict[str, Any]:
    """The JSON object in a line. Raises InvalidValue."""
    try:
        parsed = json.loads(line)
    except json.JSONDecodeError as error:
        joint = " column" if error.msg.endswith(" at") else " at column"
        raise InvalidValue(f"not valid JSON: {error.msg}{joint} {error.pos + 1}") from None
    except RecursionError:
        raise InvalidValue("not valid JSON: nested too deeply") from None
    except ValueError:
        raise InvalidValue("not valid JSON: a number has too many digits") from None
    if not isinstance(parsed, dict):
        remedy = "Write one object per line; for one large array: jq -c '.[]' FILE."
        raise InvalidValue(f"the line is {type_name(parsed)}, not a JSON object", remedy)
    return parsed


def id_of(record: Mapping[str, Any]) -> str:
    """The id of a record: `_id`, else `id`. Raises InvalidValue."""
    for field in ("_id", "id"):
        if field in record:
            return checked_id(record[field], field)
    raise InvalidValue("there is no `_id` or `id` field")


def checked_id(value: object, field: str) -> str:
    """The id as a string; an integer becomes its digits. Raises InvalidValue."""
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        raise InvalidValue(f"`{field}` is {type_name(value)}, not a string or an integer")
    if 0 < len(value) <= MAX_ID_CHARS and value.isprintable() and value.strip():
        return value
    if not value.strip():
        raise InvalidValue(f"`{field}` is empty")
    if len(value) > MAX_ID_CHARS:
        raise InvalidValue(f"`{field}` has {len(value):,} characters; an id has at most {MAX_ID_CHARS}")
    if unfit := _UNFIT_IN_IDS.search(value):
        raise InvalidValue(f"`{field}` has the character U+{ord(unfit[0]):04X}, which an id cannot hold")
    return value


def text_of(record: Mapping[str, Any], field: str) -> str:
    """The string in a field, perhaps empty. Raises InvalidValue if it is absent or cannot be stored."""
    try:
        value = record[field]
    except KeyError:
        raise InvalidValue(f"there is no `{field}` field") from None
    return checked_text(value, field)


def checked_text(value: object, field: str) -> str:
    """The string, perhaps empty. Raises InvalidValue for other types, NUL and lone surrogates."""
    if not isinstance(value, str):
        raise InvalidValue(f"`{field}` is {type_name(value)}, not a string")
    nul = value.find("\0")
    if nul >= 0:
        raise InvalidValue(f"`{field}` has a NUL (U+0000) at character {nul + 1}", "Remove it.")
    try:
        value.isascii() or value.encode()
    except UnicodeEncodeError as error:
        problem = (
            f"`{field}` has a lone surrogate (U+{ord(value[error.start]):04X}) at character {error.start + 1}"
        )
        raise InvalidValue(problem, "It is half of a character: write the other half or remove it.") from None
    return value


def type_name(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return _TYPE_NAMES.get(type(value), f"of type {type(value).__name__}")


def numbered(source: Iterable[T], name: str) -> Iterator[tuple[int, T]]:
    """Numbers the items from 1. Raises InputError when there are none."""
    position = 0
    for position, value in enumerate(source, 1):
        yield position, value
    if not position:
        raise InputError(name, None, "there is nothing in it", "Give at least one.")

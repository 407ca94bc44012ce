"""Receivers of changes: what each promises, what can go wrong, and what those behind HTTP share.

Knows what an answer means; knows neither store nor patience.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from rankmill.db.records.rankings import ChangeRow
from rankmill.db.runtime.http_client import Answer, Client, HttpTrouble, Place
from rankmill.db.runtime.version import program_version
from rankmill.producer.errors import MissingPrerequisite, RankmillError, RuntimeFailure

REQUEST_S = 60.0
_PASSING = {408, 425, 429, 500, 502, 503, 504, 507}
_MAX_WORDS = 200


class Refused(NamedTuple):
    """Why a receiver did not take one change; `is_passing` says that it may a moment later."""

    reason: str
    is_passing: bool


class ReceiverTrouble(Exception):
    """The receiver took nothing, and may take it later. The message says why."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class TooLarge(Exception):
    """The receiver takes no chunk of this size."""


class Receiver(Protocol):
    """`name` tells receivers apart and is shown to people.

    `num_newer` counts changes it left aside because it has the same or a newer one.
    """

    name: str
    num_newer: int

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refused]:
        """Hands the changes over; returns those that were refused, by cursor.

        Raises ReceiverTrouble, TooLarge, and RankmillError for what only a person can mend.
        """

    def close(self) -> None: ...


class ServerReceiver:
    """What receivers on the other side of HTTP share."""

    def __init__(self, place: Place, auth: str | None) -> None:
        self.num_newer = 0
        self._place = place
        self._client = Client(place, total_s=REQUEST_S)
        self._headers = {"User-Agent": f"rankmill/{program_version()}"} | authorization(auth)

    def ask(self, method: str, path: str, body: bytes, kind: str, **headers: str) -> Answer:
        """One request. Raises ReceiverTrouble when there is no whole answer."""
        try:
            sent = self._headers | {"Content-Type": kind} | headers
            return self._client.request(method, path, body, sent)
        except HttpTrouble as trouble:
            raise ReceiverTrouble(f"{self._place.shown()}: {trouble}") from trouble

    def check(self, answer: Answer) -> None:
        """Raises what an answer to a whole chunk means unless it was taken."""
        if 200 <= answer.status < 300:
            return
        if answer.status == 413:
            raise TooLarge
        said = f"{self._place.shown()} answered {answer.status}{words(answer.body)}"
        if answer.status in _PASSING:
            raise ReceiverTrouble(said, answer.retry_after_s)
        raise self.unmendable(answer.status, said)

    def unmendable(self, status: int, said: str) -> RankmillError:
        if status in (401, 403):
            return MissingPrerequisite(
                f"{said}. Set RANKMILL_RECEIVER_AUTH in the environment to USER:PASSWORD or to the whole "
                "value of the Authorization header."
            )
        if 300 <= status < 400:
            return RuntimeFailure(f"{said}. Redirects are not followed: name the place it leads to.")
        return RuntimeFailure(f"{said}. Mend that and run the same command again: it continues.")

    def close(self) -> None:
        self._client.close()


def authorization(auth: str | None) -> dict[str, str]:
    """The header for USER:PASSWORD; anything with a space in it is the header's value already."""
    if auth is None:
        return {}
    if re.fullmatch(r"[^\s:]+:\S+", auth):
        auth = f"Basic {base64.b64encode(auth.encode()).decode()}"
    return {"Authorization": auth}


def base_path(place: Place) -> str:
    return place.path.partition("?")[0].rstrip("/")


def words(body: bytes) -> str:
    """The beginning of what a server said, fit to be shown."""
    said = " ".join(body[: 4 * _MAX_WORDS].decode(errors="replace").split())
    said = "".join(character for character in said if character.isprintable())
    return f": {said[:_MAX_WORDS]}" if said else ""


def error_words(error: object) -> str:
    """The type and reason of a bulk item's error."""
    if not isinstance(error, Mapping):
        return ""
    said = ": ".join(str(error[part]) for part in ("type", "reason") if error.get(part))
    return words(f"{said}".encode())


def _query_mark(place: Place) -> str:
    """Tells URLs apart that differ in their query, which may hold a key."""
    import hashlib

    _, has_query, query = place.path.partition("?")
    return f"?…{hashlib.sha256(query.encode()).hexdigest()[:8]}" if has_query else ""

"""What receivers behind HTTP share: one request, and the meaning of an answer to it."""

import base64
import re
from collections.abc import Mapping

from rankmill.db.runtime.http_client import Answer, Client, HttpTrouble, Place
from rankmill.db.runtime.version import program_version
from rankmill.producer.downstream.receiver import ReceiverUnavailable, TooLarge
from rankmill.producer.errors import MissingPrerequisite, RankmillError, RuntimeFailure

REQUEST_S = 60.0
TEMPORARY_STATUSES = {408, 425, 429, 500, 502, 503, 504, 507}
_MAX_EXCERPT_CHARS = 200


class HttpReceiver:
    """A connection to a server, with the headers that every request has."""

    def __init__(self, place: Place, auth: str | None) -> None:
        self.num_newer = 0
        self._place = place
        self._client = Client(place, total_s=REQUEST_S)
        self._headers = {"User-Agent": f"rankmill/{program_version()}"} | authorization(auth)

    def ask(self, method: str, path: str, body: bytes, kind: str, **headers: str) -> Answer:
        """Makes one request. Raises ReceiverUnavailable when there is no complete answer."""
        try:
            sent = self._headers | {"Content-Type": kind} | headers
            return self._client.request(method, path, body, sent)
        except HttpTrouble as trouble:
            raise ReceiverUnavailable(f"{self._place.shown()}: {trouble}") from trouble

    def check(self, answer: Answer) -> None:
        """Raises what the answer to a whole chunk means, unless the chunk was accepted."""
        if 200 <= answer.status < 300:
            return
        if answer.status == 413:
            raise TooLarge
        reason = f"{self._place.shown()} answered {answer.status}{excerpt(answer.body)}"
        if answer.status in TEMPORARY_STATUSES:
            raise ReceiverUnavailable(reason, answer.retry_after_s)
        raise self._permanent(answer.status, reason)

    def _permanent(self, status: int, reason: str) -> RankmillError:
        if status in (401, 403):
            return MissingPrerequisite(
                f"{reason}. Set RANKMILL_RECEIVER_AUTH in the environment to USER:PASSWORD or to the whole "
                "value of the Authorization header."
            )
        if 300 <= status < 400:
            return RuntimeFailure(f"{reason}. Redirects are not followed: name the place it leads to.")
        return RuntimeFailure(f"{reason}. Fix that and run the same command again: it continues.")

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
    """The path without its query and without a slash at its end."""
    return place.path.partition("?")[0].rstrip("/")


def excerpt(body: bytes) -> str:
    """The beginning of a server's answer after a colon, on one line and printable; empty for an empty one."""
    text = " ".join(body[: 4 * _MAX_EXCERPT_CHARS].decode(errors="replace").split())
    text = "".join(character for character in text if character.isprintable())
    return f": {text[:_MAX_EXCERPT_CHARS]}" if text else ""


def error_excerpt(error: object) -> str:
    """The type and reason of a bulk item's error, as `excerpt` shows them."""
    if not isinstance(error, Mapping):
        return ""
    return excerpt(": ".join(str(error[part]) for part in ("type", "reason") if error.get(part)).encode())

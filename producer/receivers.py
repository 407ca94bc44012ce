"""Receivers of changes: OpenSearch and Elasticsearch, Vespa, any URL, a folder. Each takes a chunk at once.

Knows what an answer means; knows neither store nor patience.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from db import __version__
from db.http_client import Answer, Client, HttpTrouble, Place
from db.publication_records import Change, ChangeRow
from producer.change_formats import (
    Target,
    as_jsonl,
    document_id,
    encoded,
    opensearch_encoder,
    vespa_condition,
    vespa_fields,
)
from producer.errors import MissingPrerequisite, RankmillError, RuntimeFailure
from producer.unfinished import replacing

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


class _Server:
    """What receivers on the other side of HTTP share."""

    def __init__(self, place: Place, auth: str | None) -> None:
        self.num_newer = 0
        self._place = place
        self._client = Client(place, total_s=REQUEST_S)
        self._headers = {"User-Agent": f"rankmill/{__version__}"} | authorization(auth)

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


class OpenSearch(_Server):
    """Bulk requests with external versions: what the index has newer stays, whatever comes twice or late."""

    def __init__(self, place: Place, auth: str | None, index: str) -> None:
        super().__init__(place, auth)
        self.name = f"opensearch {place.shown().rstrip('/')}/{index}"
        self._path = f"{base_path(place)}/{quote(index, safe='')}/_bulk"
        self._encode = opensearch_encoder(Target())

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refused]:
        body = b"".join(map(self._encode, rows))
        answer = self.ask("POST", self._path, body, "application/x-ndjson")
        self.check(answer)
        try:
            items: list[Any] = json.loads(answer.body)["items"]
            outcomes = [next(iter(item.values())) for item in items]
            results = [(outcome["_id"], int(outcome["status"]), outcome.get("error")) for outcome in outcomes]
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as cause:
            raise ReceiverTrouble(f"{self.name}: the answer is not one to a bulk request") from cause
        if [id_ for id_, _, _ in results] != [document_id(row) for row in rows]:
            raise ReceiverTrouble(f"{self.name}: the answer is about other documents")
        refused = {}
        for row, (_, status, error) in zip(rows, results, strict=True):
            # 409: the index has this version or a newer one. 404: what was to be removed is not there.
            self.num_newer += status == 409
            is_there = 200 <= status < 300 or status == 409
            if not is_there and not (status == 404 and row.change is Change.REMOVED):
                refused[row.cursor] = Refused(f"{status}{error_words(error)}", status in _PASSING)
        return refused


class Vespa(_Server):
    """One request a document, on one connection; a condition keeps what is newer."""

    def __init__(self, place: Place, auth: str | None, target: Target) -> None:
        super().__init__(place, auth)
        self._target = target
        self.name = f"vespa {place.shown().rstrip('/')}/{target.namespace}/{target.document_type}"
        kind = f"{quote(target.namespace, safe='')}/{quote(target.document_type, safe='')}"
        self._path = f"{base_path(place)}/document/v1/{kind}/docid"

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refused]:
        refused: dict[int, Refused] = {}
        for number, row in enumerate(rows):
            answer = self._send_one(row)
            # 412: the document is newer than this change, or was never there to be removed.
            if 200 <= answer.status < 300 or answer.status in (404, 412):
                self.num_newer += answer.status == 412
                if answer.status == 404 and row.change is not Change.REMOVED:
                    raise RuntimeFailure(f"{self.name} is not there: it answered 404{words(answer.body)}.")
                continue
            if answer.status in (401, 403):
                self.check(answer)
            if answer.status in _PASSING and number == len(refused):
                self.check(answer)  # nothing was taken yet: the server is in trouble, not this document
            refused[row.cursor] = Refused(f"{answer.status}{words(answer.body)}", answer.status in _PASSING)
        return refused

    def _send_one(self, row: ChangeRow) -> Answer:
        path = f"{self._path}/{document_id(row)}?condition={quote(vespa_condition(self._target, row))}"
        if row.change is Change.REMOVED:
            return self.ask("DELETE", path, b"", "application/json")
        return self.ask(
            "POST", f"{path}&create=true", encoded({"fields": vespa_fields(row)}), "application/json"
        )


class Url(_Server):
    """Chunks of JSON lines posted to a URL. A JSON answer may name what was refused:
    {"refused": [{"cursor": 17, "reason": "…", "again": true}]}."""

    def __init__(self, place: Place, auth: str | None, ranking: str) -> None:
        super().__init__(place, auth)
        self.name = f"url {place.shown()}{_query_mark(place)}"
        self._ranking = quote(ranking)

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refused]:
        answer = self.ask(
            "POST",
            self._place.path,
            b"".join(map(as_jsonl, rows)),
            "application/x-ndjson",
            **{"X-Rankmill-Ranking": self._ranking, "X-Rankmill-Cursor": str(rows[-1].cursor)},
        )
        self.check(answer)
        sent = {row.cursor for row in rows}
        try:
            listed: list[Any] = json.loads(answer.body).get("refused") or []
            refused = {
                int(entry["cursor"]): Refused(
                    words(str(entry.get("reason", "")).encode()).removeprefix(": ") or "no reason was given",
                    bool(entry.get("again")),
                )
                for entry in listed
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}  # receivers may answer what they like
        return {cursor: outcome for cursor, outcome in refused.items() if cursor in sent}


class Folder:
    """Files of JSON lines, named by their first and last cursor; each appears whole."""

    def __init__(self, path: Path) -> None:
        self.num_newer = 0
        self._path = path.resolve()
        self.name = f"folder {self._path}"

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refused]:
        name = f"changes-{rows[0].cursor:016d}-{rows[-1].cursor:016d}.jsonl"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            with replacing(self._path / name, buffer_bytes=2**18) as stream:
                for row in rows:
                    stream.write(as_jsonl(row))
        except OSError as error:
            raise RuntimeFailure(f"{self._path} cannot be written: {error.strerror or error}.") from error
        return {}

    def close(self) -> None:
        pass


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

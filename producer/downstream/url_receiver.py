"""Any URL as a receiver of changes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from rankmill.db.records.rankings import ChangeRow
from rankmill.db.runtime.http_client import Place
from rankmill.producer.downstream.change_formats import as_jsonl
from rankmill.producer.downstream.http_receiver import HttpReceiver, excerpt
from rankmill.producer.downstream.receiver import Refusal


class UrlReceiver(HttpReceiver):
    """Posts chunks of JSON lines to a URL. A JSON answer may name what was refused:
    {"refused": [{"cursor": 17, "reason": "…", "again": true}]}.
    """

    def __init__(self, place: Place, auth: str | None, ranking: str) -> None:
        super().__init__(place, auth)
        self.name = f"url {place.shown()}{_query_digest(place)}"
        self._ranking = quote(ranking)

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refusal]:
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
                int(entry["cursor"]): Refusal(
                    excerpt(str(entry.get("reason", "")).encode()).removeprefix(": ")
                    or "no reason was given",
                    bool(entry.get("again")),
                )
                for entry in listed
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            return {}  # any other answer means that all was accepted
        return {cursor: refusal for cursor, refusal in refused.items() if cursor in sent}


def _query_digest(place: Place) -> str:
    """Tells URLs apart that differ in their query, which may hold a key and is not shown."""
    _, has_query, query = place.path.partition("?")
    return f"?…{hashlib.sha256(query.encode()).hexdigest()[:8]}" if has_query else ""

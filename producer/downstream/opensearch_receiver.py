"""OpenSearch and Elasticsearch as receivers of changes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from rankmill.db.records.rankings import Change, ChangeRow
from rankmill.db.runtime.http_client import Place
from rankmill.producer.downstream.change_formats import Target, document_id, opensearch_encoder
from rankmill.producer.downstream.http_receiver import (
    TEMPORARY_STATUSES,
    HttpReceiver,
    base_path,
    error_excerpt,
)
from rankmill.producer.downstream.receiver import ReceiverUnavailable, Refusal


class OpenSearchReceiver(HttpReceiver):
    """Sends bulk requests with external versions: what is newer in the index stays, even if a change comes
    twice or late.
    """

    def __init__(self, place: Place, auth: str | None, index: str) -> None:
        super().__init__(place, auth)
        self.name = f"opensearch {place.shown().rstrip('/')}/{index}"
        self._path = f"{base_path(place)}/{quote(index, safe='')}/_bulk"
        self._encode = opensearch_encoder(Target())

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refusal]:
        body = b"".join(map(self._encode, rows))
        answer = self.ask("POST", self._path, body, "application/x-ndjson")
        self.check(answer)
        try:
            items: list[Any] = json.loads(answer.body)["items"]
            outcomes = [next(iter(item.values())) for item in items]
            results = [(outcome["_id"], int(outcome["status"]), outcome.get("error")) for outcome in outcomes]
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as cause:
            raise ReceiverUnavailable(f"{self.name}: the answer is not one to a bulk request") from cause
        if [id_ for id_, _, _ in results] != [document_id(row) for row in rows]:
            raise ReceiverUnavailable(f"{self.name}: the answer is about other documents")
        refused = {}
        for row, (_, status, error) in zip(rows, results, strict=True):
            # 409: the index has this version or a newer one. 404: what was to be removed is not there.
            self.num_newer += status == 409
            is_there = 200 <= status < 300 or status == 409
            if not is_there and not (status == 404 and row.change is Change.REMOVED):
                reason = f"{status}{error_excerpt(error)}"
                refused[row.cursor] = Refusal(reason, status in TEMPORARY_STATUSES)
        return refused

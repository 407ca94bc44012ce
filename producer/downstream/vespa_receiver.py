"""Vespa as a receiver of changes."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from rankmill.db.records.rankings import Change, ChangeRow
from rankmill.db.runtime.http_client import Answer, Place
from rankmill.producer.downstream.change_formats import (
    Target,
    document_id,
    encoded,
    vespa_condition,
    vespa_fields,
)
from rankmill.producer.downstream.http_receiver import TEMPORARY_STATUSES, HttpReceiver, base_path, excerpt
from rankmill.producer.downstream.receiver import Refusal
from rankmill.producer.errors import RuntimeFailure


class VespaReceiver(HttpReceiver):
    """Sends one request for each document on one connection; a condition keeps what is newer."""

    def __init__(self, place: Place, auth: str | None, target: Target) -> None:
        super().__init__(place, auth)
        self._target = target
        self.name = f"vespa {place.shown().rstrip('/')}/{target.namespace}/{target.document_type}"
        kind = f"{quote(target.namespace, safe='')}/{quote(target.document_type, safe='')}"
        self._path = f"{base_path(place)}/document/v1/{kind}/docid"

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refusal]:
        refused: dict[int, Refusal] = {}
        for number, row in enumerate(rows):
            answer = self._send_one(row)
            # 412: the document is newer than this change, or was never there to be removed.
            if 200 <= answer.status < 300 or answer.status in (404, 412):
                self.num_newer += answer.status == 412
                if answer.status == 404 and row.change is not Change.REMOVED:
                    raise RuntimeFailure(f"{self.name} is not there: it answered 404{excerpt(answer.body)}.")
                continue
            is_temporary = answer.status in TEMPORARY_STATUSES
            if answer.status in (401, 403):
                self.check(answer)
            if is_temporary and number == len(refused):
                self.check(answer)  # nothing was accepted yet: the server is in trouble, not this document
            refused[row.cursor] = Refusal(f"{answer.status}{excerpt(answer.body)}", is_temporary)
        return refused

    def _send_one(self, row: ChangeRow) -> Answer:
        path = f"{self._path}/{document_id(row)}?condition={quote(vespa_condition(self._target, row))}"
        if row.change is Change.REMOVED:
            return self.ask("DELETE", path, b"", "application/json")
        return self.ask(
            "POST", f"{path}&create=true", encoded({"fields": vespa_fields(row)}), "application/json"
        )

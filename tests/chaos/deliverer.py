"""A ranking on its way to a search engine: a receiver that outlives the rounds, and who delivers to it.

Deliveries are real `rankmill deliver` processes that may be killed at any moment; what they leave undone the
next one does. Knows when the receiver holds what stands, and that a cursor never goes back.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rankmill.db.rankings import deliveries
from rankmill.db.rankings.catalog import find
from rankmill.db.rankings.feed import changes
from rankmill.db.records.rankings import Change
from rankmill.db.runtime.http_client import place_of
from rankmill.db.store.store import Store
from rankmill.producer.downstream.change_formats import indexed
from rankmill.producer.downstream.deliver import Deliverer
from rankmill.producer.downstream.opensearch_receiver import OpenSearchReceiver
from tests.support.processes.receivers import Misbehaving
from tests.support.repository import ROOT

DELIVER = "import sys; from rankmill.producer.command_line import main; sys.exit(main())"
CHUNK_ROWS = 60
INDEX = "kb"
PATIENCE_S = 60.0
TROUBLES = ("stall", "reset", "drop", "die", "busy", "down", "large", "partial", "nonsense")


class Courier:
    """`process` is the delivery under way, if any; `cursor` the furthest that was seen in the store.
    `variables` are for the environment of deliveries.
    """

    def __init__(self, ranking: str, folder: Path, variables: Mapping[str, str]) -> None:
        self.ranking, self.folder = ranking, folder
        self.variables = {**variables, "CHAOS_CHUNK_ROWS": str(CHUNK_ROWS)}
        self.receiver = Misbehaving(folder / f"receiver-{ranking}")
        self.name = self._to().name
        self.process: subprocess.Popen[bytes] | None = None
        self.cursor = 0
        self.num_killed = 0
        self.complaints: list[str] = []

    def start(
        self, store: Store, variables: Mapping[str, str] | None = None, *, follow: bool = False
    ) -> None:
        """Begins a delivery as a process of its own, in place of one that is under way."""
        self.kill()
        place = ["--to", "opensearch", "--at", self.receiver.url, "--index", INDEX]
        command = ["deliver", self.ranking, *place, "--store", store.url, "--patience", str(PATIENCE_S)]
        with (self.folder / f"deliver-{self.ranking}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DELIVER, *command, *(["--follow"] if follow else [])],
                cwd=ROOT,
                env={**os.environ, **self.variables, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def is_under_way(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9 of the delivery under way."""
        if self.process is not None:
            self.process.kill()
            self.num_killed += self.process.wait() == -signal.SIGKILL
            self.process = None

    def listen(self, store: Store) -> None:
        """Looks where the delivery stands. Raises StoreError."""
        found = deliveries.find(store, self.name)
        cursor = self.cursor if found is None else found.cursor
        if cursor < self.cursor:
            self.complaints.append(f"the cursor went back from {self.cursor} to {cursor}")
        self.cursor = max(self.cursor, cursor)

    def complaints_about(self, store: Store) -> list[str]:
        """What differs between the receiver and what stands, after one delivery in peace."""
        self.kill()
        self.receiver.plan()
        to, ranking = self._to(), find(store, self.ranking)
        said: list[str] = []
        delivered = Deliverer(store, ranking, to, patience_s=PATIENCE_S, note=said.append).catch_up()
        to.close()
        self.listen(store)
        held = {(row["query_id"], row["document_id"]): row for row in self.receiver.documents().values()}
        stands = {
            (row.query_id, row.document_id): indexed(row)
            for row in changes(store, ranking.ranking_id, after=0)
            if row.change is not Change.REMOVED
        }
        wrong = [
            f"the receiver holds {held.get(pair)} of {pair}, {stands.get(pair)} stands"
            for pair in sorted({*held, *stands})
            if held.get(pair) != stands.get(pair)
        ]
        if delivered.num_refused:
            wrong.append(f"{delivered.num_refused} changes were refused")
        if self.cursor != ranking.last_cursor:
            wrong.append(f"delivered up to cursor {self.cursor} of {ranking.last_cursor}")
        return self.complaints + wrong

    def end(self) -> None:
        self.kill()
        self.receiver.end()

    def _to(self) -> OpenSearchReceiver:
        return OpenSearchReceiver(place_of(self.receiver.url), None, INDEX)

"""What a receiver of changes promises, and what can go wrong with it. Knows no protocol and no store."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from rankmill.db.records.rankings import ChangeRow


class Refusal(NamedTuple):
    """Why a receiver did not take one change. If `is_temporary`, it may take it a moment later."""

    reason: str
    is_temporary: bool


class ReceiverUnavailable(Exception):
    """The receiver took nothing now and may do so later. The message says why."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class TooLarge(Exception):
    """The receiver takes no chunk of this size."""


class Receiver(Protocol):
    """Where changes go. `name` tells receivers apart and is shown to people.

    `num_newer` counts changes it skipped because it has the same or a newer one.
    """

    name: str
    num_newer: int

    def send(self, rows: Sequence[ChangeRow]) -> Mapping[int, Refusal]:
        """Sends the changes; returns those that were refused, by cursor.

        Raises ReceiverUnavailable, TooLarge, and RankmillError for what a person must put right.
        """

    def close(self) -> None: ...

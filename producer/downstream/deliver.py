"""Delivering: a ranking's changes go to a receiver, chunk by chunk, until it has them all or for ever.

The cursor moves in the store only after the receiver accepted, so that a death in between repeats a chunk and
skips none. Knows when to try again; knows no protocol.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rankmill.db.rankings import deliveries
from rankmill.db.rankings.deliveries import Delivery
from rankmill.db.rankings.feed import chunk
from rankmill.db.records.rankings import ChangeRow, RankingRow
from rankmill.db.runtime.failpoints import reach
from rankmill.db.store.store import Store
from rankmill.producer.downstream.receivers import Receiver, ReceiverTrouble, Refused, TooLarge
from rankmill.producer.errors import RuntimeFailure

CHUNK_ROWS = 1_000
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 60.0
MAX_TRIES_OF_ITEMS = 5
SUSPICIOUS = 20
LOOK_EVERY_S = 2.0
REFUSED_EVERY_S = 300.0


@dataclass(kw_only=True)
class Delivered:
    """What came of it so far: changes accepted, those the receiver has refused, and where the feed stands."""

    num_accepted: int = 0
    num_refused: int = 0
    cursor: int = 0


class Delivering:
    """One delivery of a ranking to a receiver. `patience_s` is for a receiver that takes nothing at all."""

    def __init__(
        self,
        store: Store,
        ranking: RankingRow,
        receiver: Receiver,
        *,
        patience_s: float,
        note: Callable[[str], None],
    ) -> None:
        self._store, self._ranking, self._receiver = store, ranking, receiver
        self._patience_s, self._note = patience_s, note
        self._delivery = deliveries.find_or_begin(store, ranking.ranking_id, receiver.name)
        self.delivered = Delivered(cursor=self._delivery.cursor)
        self._refused_tried_at = float("-inf")

    def restart(self) -> None:
        """Begins anew, whatever the receiver was given before."""
        deliveries.restart(self._store, self._delivery)
        self.delivered.cursor = 0

    def catch_up(self) -> Delivered:
        """Delivers what was refused before and what is new, until nothing is left.

        Raises RuntimeFailure when the receiver takes nothing for too long; the same again continues.
        """
        if time.monotonic() - self._refused_tried_at > REFUSED_EVERY_S:
            self._try_refused_again()
            self._refused_tried_at = time.monotonic()
        while rows := self._next():
            refused = self._send(rows)
            check_takes_some(rows, refused)
            reach("after_receiver_accepted")
            self.delivered.num_accepted += len(rows) - len(refused)
            self.delivered.cursor = deliveries.advance(
                self._store,
                self._delivery.delivery_id,
                after=self.delivered.cursor,
                to=rows[-1].cursor,
                refused={cursor: outcome.reason for cursor, outcome in refused.items()},
            )
        self.delivered.num_refused = self._standing().num_refused
        return self.delivered

    def follow(self) -> None:
        """Delivers for ever."""
        while True:
            self.catch_up()
            time.sleep(LOOK_EVERY_S)

    def _next(self) -> list[ChangeRow]:
        return chunk(self._store, self._ranking.ranking_id, after=self.delivered.cursor, limit=CHUNK_ROWS)

    def _standing(self) -> Delivery:
        found = deliveries.find(self._store, self._receiver.name)
        assert found is not None, "bug: the delivery is gone"
        return found

    def _try_refused_again(self) -> None:
        deliveries.delete_outdated_refusals(self._store, self._delivery, self._ranking.ranking_id)
        after = 0
        while rows := deliveries.refused_changes(
            self._store, self._delivery, self._ranking.ranking_id, after=after, limit=CHUNK_ROWS
        ):
            refused = self._send(rows)
            self.delivered.num_accepted += len(rows) - len(refused)
            reasons = {cursor: outcome.reason for cursor, outcome in refused.items()}
            deliveries.note_retried(self._store, self._delivery, rows, reasons)
            after = rows[-1].cursor

    def _send(self, rows: Sequence[ChangeRow]) -> dict[int, Refused]:
        """Sends until each row is accepted or refused for good, and returns the latter by cursor."""
        given_up: dict[int, Refused] = {}
        waiting, num_tries = list(rows), 0
        pauses = Pauses(self._patience_s)
        while waiting:
            try:
                refused = self._receiver.send(waiting)
            except TooLarge:
                if len(waiting) == 1:
                    return given_up | {waiting[0].cursor: Refused("it is too large for the receiver", False)}
                middle = len(waiting) // 2
                return given_up | self._send(waiting[:middle]) | self._send(waiting[middle:])
            except ReceiverTrouble as trouble:
                pauses.wait(trouble, self._note)
                continue
            num_tries += 1
            passing = [row for row in waiting if row.cursor in refused and refused[row.cursor].is_passing]
            if len(passing) < len(waiting):
                pauses = Pauses(self._patience_s)
            given_up |= {cursor: outcome for cursor, outcome in refused.items() if not outcome.is_passing}
            if passing and len(passing) == len(waiting):
                # Nothing at all was taken: the receiver is too busy for anybody, not for these.
                pauses.wait(ReceiverTrouble(refused[passing[0].cursor].reason), self._note)
            elif passing and num_tries >= MAX_TRIES_OF_ITEMS:
                return given_up | {row.cursor: refused[row.cursor] for row in passing}
            elif passing:
                pauses.wait(ReceiverTrouble(f"{len(passing)} were put off"), self._note)
            waiting = passing
        return given_up


def check_takes_some(rows: Sequence[ChangeRow], refused: Mapping[int, Refused]) -> None:
    """Raises RuntimeFailure when all of many changes were refused: then it is not they who are at fault."""
    if len(rows) >= SUSPICIOUS and len(refused) == len(rows):
        reason = refused[rows[0].cursor].reason
        raise RuntimeFailure(
            f"The receiver refuses every change: {reason}. Mend that and run the same command again."
        )


class Pauses:
    """Growing pauses with jitter, until patience ends; a receiver's own wish counts."""

    def __init__(self, patience_s: float) -> None:
        self._deadline = time.monotonic() + patience_s
        self._pause_s = FIRST_PAUSE_S

    def wait(self, trouble: ReceiverTrouble, note: Callable[[str], None]) -> None:
        """Waits before the next try. Raises RuntimeFailure when it would come too late."""
        pause_s = self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311  (spreads retries, guards nothing)
        if trouble.retry_after_s is not None:
            pause_s = max(pause_s, trouble.retry_after_s)
        if time.monotonic() + pause_s > self._deadline:
            raise RuntimeFailure(
                f"The receiver takes nothing: {trouble}. What it accepted is remembered; run the same "
                "command again when it is well: it continues."
            )
        note(f"trying again in {pause_s:.1f} s: {trouble}")
        time.sleep(pause_s)
        self._pause_s = min(self._pause_s * 2, MAX_PAUSE_S)

"""Delivers a ranking's changes to a receiver in chunks, until it has them all or without end.

The cursor moves in the store only after the receiver accepted a chunk: a process that dies in between repeats
the chunk and skips none. Knows when to try again; knows no protocol.
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
from rankmill.producer.downstream.receiver import Receiver, ReceiverUnavailable, Refusal, TooLarge
from rankmill.producer.errors import RuntimeFailure

CHUNK_ROWS = 1_000
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 60.0
MAX_TRIES_OF_ITEMS = 5
SUSPICIOUS = 20
"""So many changes all refused are no fault of the changes."""
LOOK_EVERY_S = 2.0
REFUSED_EVERY_S = 300.0


@dataclass(kw_only=True)
class DeliveryResult:
    """How many changes the receiver accepted so far, how many it still refuses, and the cursor reached."""

    num_accepted: int = 0
    num_refused: int = 0
    cursor: int = 0


class Deliverer:
    """Sends the changes of one ranking to one receiver.

    Gives up when the receiver accepts nothing for `patience_s` seconds. `note` is told of every pause.
    """

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
        self.result = DeliveryResult(cursor=self._delivery.cursor)
        self._refused_tried_at = float("-inf")

    def restart(self) -> None:
        """Begins again from the start, whatever the receiver was sent before."""
        deliveries.restart(self._store, self._delivery)
        self.result.cursor = 0

    def catch_up(self) -> DeliveryResult:
        """Sends what was refused before and what is new, until nothing is left.

        Raises RuntimeFailure when the receiver accepts nothing for too long; the next call continues.
        """
        if time.monotonic() - self._refused_tried_at > REFUSED_EVERY_S:
            self._try_refused_again()
            self._refused_tried_at = time.monotonic()
        while rows := self._next():
            refused = self._send(rows)
            check_accepts_some(rows, refused)
            reach("after_receiver_accepted")
            self.result.num_accepted += len(rows) - len(refused)
            self.result.cursor = deliveries.advance(
                self._store,
                self._delivery.delivery_id,
                after=self.result.cursor,
                to=rows[-1].cursor,
                refused={cursor: refusal.reason for cursor, refusal in refused.items()},
            )
        self.result.num_refused = self._stored().num_refused
        return self.result

    def follow(self) -> None:
        """Sends what is new every two seconds, without end."""
        while True:
            self.catch_up()
            time.sleep(LOOK_EVERY_S)

    def _next(self) -> list[ChangeRow]:
        return chunk(self._store, self._ranking.ranking_id, after=self.result.cursor, limit=CHUNK_ROWS)

    def _stored(self) -> Delivery:
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
            self.result.num_accepted += len(rows) - len(refused)
            reasons = {cursor: refusal.reason for cursor, refusal in refused.items()}
            deliveries.note_retried(self._store, self._delivery, rows, reasons)
            after = rows[-1].cursor

    def _send(self, rows: Sequence[ChangeRow]) -> dict[int, Refusal]:
        """Sends until each row is accepted or finally refused, and returns the refusals by cursor."""
        given_up: dict[int, Refusal] = {}
        waiting, num_tries = list(rows), 0
        backoff = Backoff(self._patience_s)
        while waiting:
            try:
                refused = self._receiver.send(waiting)
            except TooLarge:
                if len(waiting) == 1:
                    return given_up | {waiting[0].cursor: Refusal("it is too large for the receiver", False)}
                middle = len(waiting) // 2
                return given_up | self._send(waiting[:middle]) | self._send(waiting[middle:])
            except ReceiverUnavailable as problem:
                backoff.wait(problem, self._note)
                continue
            num_tries += 1
            postponed = [row for row in waiting if row.cursor in refused and refused[row.cursor].is_temporary]
            if len(postponed) < len(waiting):
                backoff = Backoff(self._patience_s)
            given_up |= {cursor: refusal for cursor, refusal in refused.items() if not refusal.is_temporary}
            if postponed and len(postponed) == len(waiting):
                # Nothing at all was accepted: the receiver is too busy for any change, not for these.
                backoff.wait(ReceiverUnavailable(refused[postponed[0].cursor].reason), self._note)
            elif postponed and num_tries >= MAX_TRIES_OF_ITEMS:
                return given_up | {row.cursor: refused[row.cursor] for row in postponed}
            elif postponed:
                backoff.wait(ReceiverUnavailable(f"{len(postponed)} were put off"), self._note)
            waiting = postponed
        return given_up


def check_accepts_some(rows: Sequence[ChangeRow], refused: Mapping[int, Refusal]) -> None:
    """Raises RuntimeFailure when all of many changes were refused: then the receiver is set up wrongly."""
    if len(rows) >= SUSPICIOUS and len(refused) == len(rows):
        reason = refused[rows[0].cursor].reason
        raise RuntimeFailure(
            f"The receiver refuses every change: {reason}. Fix that and run the same command again."
        )


class Backoff:
    """Growing pauses with jitter, for at most `patience_s` seconds together.

    A receiver that says how long to wait is waited for that long.
    """

    def __init__(self, patience_s: float) -> None:
        self._deadline = time.monotonic() + patience_s
        self._pause_s = FIRST_PAUSE_S

    def wait(self, problem: ReceiverUnavailable, note: Callable[[str], None]) -> None:
        """Waits before the next try. Raises RuntimeFailure when it would come too late."""
        pause_s = self._pause_s * random.uniform(0.5, 1.0)  # noqa: S311  (spreads retries, guards nothing)
        if problem.retry_after_s is not None:
            pause_s = max(pause_s, problem.retry_after_s)
        if time.monotonic() + pause_s > self._deadline:
            raise RuntimeFailure(
                f"The receiver accepts nothing: {problem}. What it accepted before is remembered. When it "
                "works again, run the same command again: it continues."
            )
        note(f"trying again in {pause_s:.1f} s: {problem}")
        time.sleep(pause_s)
        self._pause_s = min(self._pause_s * 2, MAX_PAUSE_S)

"""The first stage of the pipeline: claims shards, loads their texts and prepares them for the scorer.

Knows a queue and a scorer; scores nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from rankmill.db.errors import StoreRefused
from rankmill.db.records.pairs import PairFailure
from rankmill.db.records.shards import Claim, ShardResult, ShardWork
from rankmill.worker.drain.groups import Group
from rankmill.worker.drain.landing import Landing
from rankmill.worker.drain.loaded_scorer import LoadedScorer
from rankmill.worker.drain.queue import ShardQueue
from rankmill.worker.drain.report import Outcome
from rankmill.worker.drain.store_trouble import StoreTrouble, Verdict
from rankmill.worker.health.stop import Stop
from rankmill.worker.health.watchdog import Pulse

NO_TEXT = "its text cannot be read from the store"


class Fetch:
    """Fetches groups for one loaded scorer, in a thread that does nothing else.

    `reason_to_end` says why nothing more should be claimed, if so; `on_claimed` hears of every claim.
    """

    def __init__(
        self,
        loaded: LoadedScorer,
        queue: ShardQueue,
        landing: Landing,
        trouble: StoreTrouble,
        *,
        stop: Stop,
        pulse: Pulse,
        reason_to_end: Callable[[], Outcome | None],
        on_claimed: Callable[[Sequence[Claim]], None],
    ) -> None:
        self._loaded, self._queue, self._landing, self._trouble = loaded, queue, landing, trouble
        self._stop, self._pulse = stop, pulse
        self._reason_to_end, self._on_claimed = reason_to_end, on_claimed
        self._has_claimed = False

    def next(self, *, may_take_suspect: bool = False) -> Group | Outcome:
        """What the device scores next, or why there is nothing. Raises StoreError."""
        reason = self._reason_to_end()
        if reason is not None:
            return reason
        taken = self._queue.claim(self._loaded, may_take_suspect=may_take_suspect)
        if not taken:
            return Outcome.IDLE if self._has_claimed else Outcome.NOTHING_CLAIMED
        self._has_claimed = True
        self._on_claimed(taken)
        group = self._load(taken)
        self._prepare(group)
        return group

    def _load(self, taken: Sequence[Claim]) -> Group:
        """The texts of what was claimed. Raises StoreError when the store does not give them: what it gives
        none of is its own trouble, and a shard of which it gives some is set aside.
        """
        group = Group()
        for claim in taken:
            if self._stop():
                break
            self._pulse.beat()
            try:
                work = self._queue.load(claim)
            except StoreRefused as error:
                readable = self._readable_part(claim, error)
                if readable is None:
                    continue
                work = readable
            if work.pairs:
                group.works.append(work)
            else:  # another job has scored all of it meanwhile
                nothing = ShardResult(claim=claim, scores=[], failures=work.failures, num_tokens=0)
                group.done.append(nothing)
        return group

    def _readable_part(self, claim: Claim, error: StoreRefused) -> ShardWork | None:
        """What of the shard can be scored once the rest of it is given up; None while it is set aside."""
        work, refused = self._queue.load_readable(claim)
        if not refused:
            return work
        verdict = self._trouble.judge(claim, refused)
        if verdict is Verdict.STORE_TROUBLE:
            raise error
        if verdict is Verdict.SET_ASIDE:
            self._landing.set_aside(claim, error)
            return None
        failures = [PairFailure(*pair, f"{NO_TEXT}: {reason}") for pair, reason in refused.items()]
        return replace(work, failures=failures)

    def _prepare(self, group: Group) -> None:
        group.preparing_since = time.monotonic()
        try:
            with self._pulse.preparing(group.claims):
                group.prepared = self._loaded.scorer.prepare(group.works) if group.works else None
        except Exception as error:  # raised again when the group should be scored
            group.error = error

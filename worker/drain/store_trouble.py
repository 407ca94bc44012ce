"""What a scoring process knows of its store's trouble, from task to task. No pair is to blame for it.

A store that refuses whatever it is asked is left alone for a while, longer each time. A shard that it refuses
while it takes others is set aside in the same way. Only pairs that it has refused every time, and for long
enough, are given up. Knows no statement.
"""

import logging
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto

from rankmill.db.errors import StoreError
from rankmill.db.records.pairs import TextPair
from rankmill.db.records.shards import Claim
from rankmill.worker.drain.leases import WorkerLeases

FIRST_REST_S, MAX_REST_S = 5.0, 300.0
MIN_REFUSALS, MIN_REFUSED_S = 8, 600.0
"""So often, over so long, must the store refuse the very same pairs before they are given up."""
MAX_SET_ASIDE = 64
"""More shards than this at a time are no exceptions: the store itself is in trouble."""

log = logging.getLogger("rankmill.worker")


class Verdict(Enum):
    """Why the store may have refused a shard, and so what becomes of it."""

    SET_ASIDE = auto()
    """Perhaps some of its pairs: it is tried again later, while others go on."""
    GIVE_UP = auto()
    """Surely these pairs: they fail, and the others of the shard land."""
    STORE_TROUBLE = auto()
    """No pair of it: other pairs are refused each time, or too many shards."""


@dataclass(slots=True)
class _Rest:
    """A pause after something went wrong, twice as long after each further time."""

    seconds: float = 0.0
    until: float = 0.0

    def begin(self) -> None:
        self.seconds = min(max(self.seconds * 2, FIRST_REST_S), MAX_REST_S)
        self.until = time.monotonic() + self.seconds

    @property
    def is_on(self) -> bool:
        return time.monotonic() < self.until


@dataclass(slots=True)
class _Refused:
    """A shard that the store refused; `always` are the pairs it has refused every time."""

    always: set[TextPair]
    since: float = field(default_factory=time.monotonic)
    num_refusals: int = 0
    rest: _Rest = field(default_factory=_Rest)

    @property
    def is_hopeless(self) -> bool:
        return self.num_refusals >= MIN_REFUSALS and time.monotonic() - self.since >= MIN_REFUSED_S


class StoreTrouble:
    """Of one process. Several threads may call it."""

    def __init__(self, leases: WorkerLeases) -> None:
        self._leases = leases
        self._rest = _Rest()
        self._problem: str | None = None
        self._is_told = False
        self._refused: dict[int, _Refused] = {}
        self._lock = threading.Lock()

    @property
    def problem(self) -> str | None:
        """Why the store is left alone for now; None when it may be asked."""
        return self._problem if self._rest.is_on else None

    def begin(self, problem: str) -> None:
        """The store refuses what it is asked: from now on it is left alone, and this worker's row says so."""
        self._problem = problem
        self._rest.begin()
        fields = {"problem": problem, "retry_s": self._rest.seconds}
        log.error("store_problem", extra={"fields": fields})
        with suppress(StoreError):
            self._leases.report_problem(problem)
            self._is_told = True

    def try_again(self) -> None:
        """The rest is over: until it goes wrong again, this worker has no problem."""
        if self._is_told:
            with suppress(StoreError):
                self._leases.report_problem(None)
                self._is_told = False

    def end(self) -> None:
        """A drain went through: the next rest is a short one again."""
        self._rest = _Rest()

    def judge(self, claim: Claim, refused: Collection[TextPair]) -> Verdict:
        """What becomes of a shard of which the store has just refused these pairs and no other."""
        with self._lock:
            known = self._refused.setdefault(claim.shard_id, _Refused(always=set(refused)))
            known.always &= set(refused)
            known.num_refusals += 1
            if not known.always or len(self._refused) > MAX_SET_ASIDE:
                del self._refused[claim.shard_id]
                return Verdict.STORE_TROUBLE
            if known.is_hopeless and known.always == set(refused):
                return Verdict.GIVE_UP
            known.rest.begin()
            return Verdict.SET_ASIDE

    def forget(self, claim: Claim) -> None:
        """The shard has landed, or has failed on its own."""
        with self._lock:
            self._refused.pop(claim.shard_id, None)

    def resting_shards(self) -> list[int]:
        """The shards that are set aside and not to be claimed now. What rested long ago is forgotten."""
        forgotten_at = time.monotonic() - 2 * MAX_REST_S
        with self._lock:
            self._refused = {
                shard_id: known
                for shard_id, known in self._refused.items()
                if known.rest.until > forgotten_at
            }
            return [shard_id for shard_id, known in self._refused.items() if known.rest.is_on]

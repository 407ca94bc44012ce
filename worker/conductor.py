"""The drain: claim, load, prepare, score, land, until nothing is ready, the slice ends or a stop is asked.

Calls the steps in order and overlaps them: while the main thread scores a group of shards, one thread makes
the next ready and another lands the last. Knows the verbs of the store; knows no SQL, no Celery, no tensors.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from db import claims, scorers
from db.errors import StoreError
from db.events import reason_of
from db.failpoints import reach
from db.records import Claim, ScorerSpec, ShardResult, ShardWork
from db.store import Store
from worker.errors import Stopped
from worker.landing import Landing
from worker.patience import STORE_TROUBLE
from worker.presence import Presence
from worker.report import DrainReport
from worker.resident import Resident, Seated
from worker.scorer import Prepared
from worker.stopping import Stop
from worker.watchdog import Pulse

LOADING_PATIENCE = 4.0  # a model may have to be downloaded first, which beats no pulse
MAX_FAILED_IN_A_ROW = 3

log = logging.getLogger("rankmill.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a drain may do. `job_id` restricts it to one job; `drain_s` is its time slice."""

    model: str
    job_id: int | None
    drain_s: float
    lease_s: float
    max_attempts: int


@dataclass(slots=True)
class Group:
    """Shards claimed together on their way to be scored; `error` is what went wrong in preparing them."""

    works: list[ShardWork] = field(default_factory=list)
    done: list[ShardResult] = field(default_factory=list)
    prepared: Prepared | None = None
    error: Exception | None = None


class Conductor:
    """One drain. `on_more` is called once, with how many, when more shards are ready than were just taken."""

    def __init__(
        self,
        store: Store,
        presence: Presence,
        resident: Resident,
        terms: Terms,
        *,
        stop: Stop,
        on_more: Callable[[int], None],
        pulse: Pulse,
    ) -> None:
        self._pulse = pulse
        self._store, self._presence, self._resident = store, presence, resident
        self._terms, self._stop, self._on_more = terms, stop, on_more
        self._ends_at = time.monotonic() + terms.drain_s
        self._report = DrainReport()
        self._landing = Landing(
            store, presence, self._report, stop, lease_s=terms.lease_s, max_attempts=terms.max_attempts
        )
        self._num_claimed = self._num_groups = 0
        self._fruitless: set[int] = set()  # ready shards that we cannot claim must not keep us turning
        self._gave_way = False
        self._failed_in_a_row: set[int] = set()
        self._suspicion: str | None = None

    def drain(self) -> DrainReport:
        """Scores and lands until there is no more to do here. Store trouble ends it and is in the report."""
        try:
            self._drain_scorers()
            self._report.num_left = self._num_ready() if self._is_over() else 0
        except Exception as error:
            self._presence.start_anew()  # an answer got lost: who knows what we hold
            if not isinstance(error, StoreError):
                raise
            self._report.problem = reason_of(error)
        return self._report

    def _drain_scorers(self) -> None:
        while not self._is_over():
            waiting = self._landing.patiently("ready_scorers", self._ready_scorers)
            self._resident.forget_all_but([scorer_id for scorer_id, _ in waiting])
            choice = next((one for one in waiting if one[0] not in self._fruitless), None)
            if choice is None:
                return
            scorer_id, spec = choice
            if not self._drain_scorer(scorer_id, spec):
                self._fruitless.add(scorer_id)
            self._report.problem = self._resident.problem_of(scorer_id) or self._report.problem

    def _drain_scorer(self, scorer_id: int, spec: ScorerSpec) -> bool:
        """Whether it came to claiming and may do so again."""
        if self._resident.problem_of(scorer_id) is not None:
            return False
        with self._pulse.working(LOADING_PATIENCE):
            seated = self._resident.seat(scorer_id, spec)
        if seated is None:
            return False
        num_before, self._gave_way = self._num_claimed, False
        with self._pulse.working():
            self._pipe(seated)
        if self._suspicion:
            self._resident.rest(scorer_id, spec, self._suspicion)
            self._suspicion = None
            return False
        return self._num_claimed > num_before or self._gave_way

    def _pipe(self, seated: Seated) -> None:
        """Scores group after group. Whatever ends it, what was scored has landed and the rest is released."""
        started = time.monotonic()
        with ThreadPoolExecutor(1, "ahead") as ahead, ThreadPoolExecutor(1, "landing") as landing:
            landed: Future[None] = landing.submit(lambda: None)
            try:
                upcoming = ahead.submit(self._fetch, seated)
                while (group := upcoming.result()) is not None and not self._stop():
                    if self._num_groups and self._is_over():
                        break  # released below; a slice scores one group, however short it is
                    self._num_groups += 1
                    upcoming = ahead.submit(self._fetch, seated)
                    results = self._score(seated, group, ahead)
                    reach("after_forward")
                    landed.result()
                    landed = landing.submit(self._landing.land, seated.engine_id, results)
                    if self._suspicion:
                        break
                landed.result()
            except BaseException as error:
                if not isinstance(error, Exception):
                    self._stop.ask()  # this process is being ended: the threads must not go on
                raise
            finally:
                ahead.shutdown(wait=True)
                with suppress(Exception):
                    landed.result()
                self._landing.release(self._presence.held)
                self._report.scoring_s += time.monotonic() - started

    def _fetch(self, seated: Seated) -> Group | None:
        """Claims and makes ready what the device scores next; None when nothing is ready, time is over, or
        another scorer is more urgent.
        """
        if self._is_over():
            return None
        self._gave_way = self._landing.patiently("ready_scorers", lambda: self._is_outranked(seated))
        if self._gave_way:
            return None
        taken = self._landing.patiently("claim", lambda: self._claim(seated))
        if not taken:
            return None
        if self._num_claimed == 0:
            self._tell_others()
        self._num_claimed += len(taken)
        group = Group()
        for claim in taken:
            if self._stop():
                break
            self._load(claim, group)
        try:
            group.prepared = seated.scorer.prepare(group.works) if group.works else None
        except Exception as error:
            group.error = error
        return group

    def _is_outranked(self, seated: Seated) -> bool:
        """Whether a scorer that we may try has more urgent shards, which must not wait for our slice."""
        if self._terms.job_id is not None:
            return False
        urgent = scorers.more_urgent_scorers(self._store, self._terms.model, seated.scorer_id)
        return any(one not in self._fruitless and not self._resident.problem_of(one) for one in urgent)

    def _claim(self, seated: Seated) -> list[Claim]:
        asked_at = time.monotonic()
        taken = claims.claim(
            self._store,
            worker_id=self._presence.worker_id,
            scorer_id=seated.scorer_id,
            budget_tokens=seated.scorer.claim_tokens,
            lease_s=self._terms.lease_s,
            job_id=self._terms.job_id,
        )
        self._presence.hold(taken, asked_at)
        self._report.job_ids |= {claim.job_id for claim in taken}
        if taken:
            fields = {
                "num_shards": len(taken),
                "job_ids": sorted({claim.job_id for claim in taken}),
                "num_pairs": sum(claim.num_pairs for claim in taken),
                "num_tokens": sum(claim.num_tokens for claim in taken),
            }
            log.info("claimed", extra={"fields": fields})
        return taken

    def _load(self, claim: Claim, group: Group) -> None:
        try:
            self._pulse.beat()
            work = self._landing.patiently("load", lambda: claims.load(self._store, claim))
        except STORE_TROUBLE:
            raise
        except Exception as error:
            self._landing.fail(claim, error)
            return
        if work.pairs:
            group.works.append(work)
        else:  # another job has scored all of it meanwhile
            group.done.append(ShardResult(claim=claim, scores=[], failures=[], num_tokens=0))

    def _score(self, seated: Seated, group: Group, ahead: ThreadPoolExecutor) -> list[ShardResult]:
        """Results to land. A group that fails together is tried shard by shard, so one bad shard burns no
        other's attempt; what is unscored when a stop is asked is in no result and stays held.
        """
        if not group.works:
            return group.done
        try:
            if group.error:
                raise group.error
            assert group.prepared is not None
            with self._pulse.scoring([work.claim for work in group.works]):
                results = seated.scorer.score(group.prepared, self._between_batches)
        except Stopped:
            return group.done
        except Exception as error:
            return group.done + self._score_alone(seated, group, error, ahead)
        self._worked(seated)
        return group.done + results

    def _score_alone(
        self, seated: Seated, group: Group, error: Exception, ahead: ThreadPoolExecutor
    ) -> list[ShardResult]:
        if len(group.works) == 1:
            self._failed(group.works[0].claim, error)
            return []
        fields = {"num_shards": len(group.works), "reason": reason_of(error)}
        log.warning("group_failed", extra={"fields": fields})
        results: list[ShardResult] = []
        for work in group.works:
            try:
                # in the thread that always prepares: a scorer promises no more than one preparing thread
                prepared = ahead.submit(seated.scorer.prepare, [work]).result()
                with self._pulse.scoring([work.claim]):
                    results += seated.scorer.score(prepared, self._between_batches)
                self._worked(seated)
            except Stopped:
                break
            except Exception as alone:
                self._failed(work.claim, alone)
            if self._suspicion:
                break
        return results

    def _failed(self, claim: Claim, error: Exception) -> None:
        self._landing.fail(claim, error)
        self._failed_in_a_row.add(claim.shard_id)
        if len(self._failed_in_a_row) >= MAX_FAILED_IN_A_ROW:
            self._suspicion = (
                f"{len(self._failed_in_a_row)} shards in a row could not be scored, the last for: "
                f"{reason_of(error)}. Check the device and the model (rankmill doctor)."
            )

    def _worked(self, seated: Seated) -> None:
        self._failed_in_a_row.clear()
        self._resident.works(seated.scorer_id)

    def _tell_others(self) -> None:
        with suppress(StoreError):  # only a courtesy
            if num_ready := self._num_ready():
                self._on_more(num_ready)

    def _ready_scorers(self) -> list[tuple[int, ScorerSpec]]:
        return scorers.ready_scorers(self._store, self._terms.model, self._terms.job_id)

    def _num_ready(self) -> int:
        return claims.num_ready(self._store, self._terms.model, self._terms.job_id)

    def _between_batches(self) -> bool:
        self._pulse.beat()
        return self._stop()

    def _is_over(self) -> bool:
        return self._stop() or time.monotonic() >= self._ends_at

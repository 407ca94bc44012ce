"""The drain: claim, load, prepare, score, land, until nothing is ready, the slice ends or a stop is asked.

Calls the steps in order and overlaps them: while the main thread scores a group of shards, one thread makes
the next ready and another lands the last. Knows the verbs of the store; knows no SQL, no Celery, no tensors.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from rankmill.db.errors import StoreError
from rankmill.db.queue import claims
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.fair_share import first_priorities, ready_scorers
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.records.shards import Claim, ShardResult
from rankmill.db.runtime.failpoints import reach
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.store.store import Store
from rankmill.worker.drain.groups import Group, Scoring
from rankmill.worker.drain.landing import Landing
from rankmill.worker.drain.leases import WorkerLeases
from rankmill.worker.drain.loaded_scorer import LoadedScorer, ScorerCache
from rankmill.worker.drain.preemption import PreemptionWatch
from rankmill.worker.drain.report import DrainReport
from rankmill.worker.drain.timing import DrainTiming
from rankmill.worker.health.heap import Heap
from rankmill.worker.health.stop import Stop
from rankmill.worker.health.store_retry import STORE_TROUBLE
from rankmill.worker.health.watchdog import Pulse

LOADING_PATIENCE = 4.0  # a model may have to be downloaded first, which beats no pulse

log = logging.getLogger("rankmill.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainTerms:
    """What a drain may do. `job_id` restricts it to one job; `drain_s` is its time slice."""

    model: str
    job_id: int | None
    drain_s: float
    lease_s: float
    max_attempts: int


class Drain:
    """One drain. `on_more` is called once, with how many, when more shards are ready than were just taken."""

    def __init__(
        self,
        store: Store,
        leases: WorkerLeases,
        scorer_cache: ScorerCache,
        terms: DrainTerms,
        *,
        stop: Stop,
        on_more: Callable[[int], None],
        pulse: Pulse,
    ) -> None:
        self._pulse = pulse
        self._store, self._leases, self._scorer_cache = store, leases, scorer_cache
        self._terms, self._stop, self._on_more = terms, stop, on_more
        self._ends_at = time.monotonic() + terms.drain_s
        self._report = DrainReport()
        self._timing = DrainTiming()
        self._heap = Heap()
        self._landing = Landing(
            store, leases, self._report, stop, lease_s=terms.lease_s, max_attempts=terms.max_attempts
        )
        self._num_claimed = self._num_groups = 0
        self._fruitless: set[int] = set()  # ready shards that we cannot claim must not keep us turning
        self._gave_way = self._is_recalled = False
        self._scoring = Scoring(scorer_cache, self._landing, pulse)
        self._watch: PreemptionWatch

    def drain(self) -> DrainReport:
        """Scores and lands until there is no more to do here. Store trouble ends it and is in the report."""
        try:
            self._drain_scorers()
            self._report.num_left = self._num_ready() if self._is_over() else 0
        except Exception as error:
            self._leases.start_anew()  # an answer got lost: who knows what we hold
            if not isinstance(error, StoreError):
                raise
            self._report.problem = reason_of(error)
        return self._report

    def _drain_scorers(self) -> None:
        while not self._is_over():
            waiting = self._landing.retry_store("ready_scorers", self._ready_scorers)
            self._scorer_cache.forget_all_but([scorer_id for scorer_id, _ in waiting])
            choice = next((one for one in waiting if one[0] not in self._fruitless), None)
            if choice is None:
                return
            scorer_id, spec = choice
            if not self._drain_scorer(scorer_id, spec):
                self._fruitless.add(scorer_id)
            self._report.problem = self._scorer_cache.problem_of(scorer_id) or self._report.problem

    def _drain_scorer(self, scorer_id: int, spec: ScorerSpec) -> bool:
        """Whether it came to claiming and may do so again."""
        if self._scorer_cache.problem_of(scorer_id) is not None:
            return False
        with self._pulse.working(LOADING_PATIENCE):
            loaded = self._scorer_cache.load(scorer_id, spec)
        if loaded is None:
            return False
        num_before, self._gave_way, self._is_recalled = self._num_claimed, False, False
        with self._pulse.working():
            self._pipe(loaded)
        if self._scoring.suspicion:
            self._scorer_cache.rest(scorer_id, spec, self._scoring.suspicion)
            self._scoring.suspicion = None
            return False
        return self._num_claimed > num_before or self._gave_way or self._is_recalled

    def _pipe(self, loaded: LoadedScorer) -> None:
        """Scores group after group. Whatever ends it, what was scored has landed and the rest is released."""
        self._timing.begin()
        with (
            self._preemption_watch() as self._watch,
            ThreadPoolExecutor(1, "ahead") as ahead,
            ThreadPoolExecutor(1, "landing") as landing,
        ):
            landed: Future[None] = landing.submit(lambda: None)
            try:
                upcoming = ahead.submit(self._fetch, loaded, has_free_hands=True)
                while (group := self._next(upcoming)) is not None and not self._stop():
                    if (self._num_groups and self._is_over()) or self._recall(group):
                        break  # released below; a slice scores one group, however short it is
                    self._num_groups += 1
                    if not group.is_suspect:  # what is in hand beside a suspect would be lost with it
                        upcoming = ahead.submit(self._fetch, loaded)
                    with self._timing.scoring(loaded.scorer):
                        results = self._scoring.score(
                            loaded, group, ahead, partial(self._between_batches, group)
                        )
                    reach("after_forward")
                    landed.result()
                    self._close_group()
                    landed = landing.submit(self._landing.land, loaded.engine_id, results)
                    if self._scoring.suspicion or self._is_recalled or group.is_suspect:
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
                self._landing.release(self._leases.held)
                self._close_group()

    def _next(self, upcoming: Future[Group | None]) -> Group | None:
        group = upcoming.result()
        self._timing.waited_for_group(group.preparing_since if group else None)
        return group

    def _close_group(self) -> None:
        self._timing.waited_for_store()
        self._timing.close_group()
        self._report.telemetry = self._leases.telemetry = self._timing.total
        self._heap.tidy()

    def _fetch(self, loaded: LoadedScorer, *, has_free_hands: bool = False) -> Group | None:
        """Claims and makes ready what the device scores next; None when nothing is ready, time is over,
        another scorer is more urgent, or a suspect waits for free hands.
        """
        if self._is_over():
            return None
        self._gave_way = self._landing.retry_store("ready_scorers", lambda: self._is_outranked(loaded))
        if self._gave_way:
            return None
        taken = self._landing.retry_store("claim", lambda: self._claim(loaded, has_free_hands))
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
        group.preparing_since = time.monotonic()
        try:
            group.prepared = loaded.scorer.prepare(group.works) if group.works else None
        except Exception as error:
            group.error = error
        return group

    def _is_outranked(self, loaded: LoadedScorer) -> bool:
        """Whether a scorer that we may try has more urgent shards, which must not wait for our slice."""
        if self._terms.job_id is not None:
            return False
        first = first_priorities(self._store, self._terms.model)
        mine = first.get(loaded.scorer_id)
        return mine is not None and any(
            priority < mine and self._may_try(scorer_id) for scorer_id, priority in first.items()
        )

    def _may_try(self, scorer_id: int) -> bool:
        return scorer_id not in self._fruitless and not self._scorer_cache.problem_of(scorer_id)

    def _preemption_watch(self) -> PreemptionWatch:
        return PreemptionWatch(
            self._store,
            self._terms.model,
            lambda: self._leases.held,
            self._may_try,
            is_of_one_job=self._terms.job_id is not None,
        )

    def _recall(self, group: Group) -> bool:
        """Whether what is about to be scored, or is, must be given back; what is whole still lands."""
        reason = None if self._is_recalled else self._watch.reason_against(group.claims)
        if reason is not None:
            self._is_recalled = True
            log.info("recalled", extra={"fields": {"num_shards": len(group.works), "reason": reason}})
        return self._is_recalled

    def _claim(self, loaded: LoadedScorer, has_free_hands: bool) -> list[Claim]:
        asked_at = time.monotonic()
        taken = claims.claim(
            self._store,
            worker_id=self._leases.worker_id,
            scorer_id=loaded.scorer_id,
            budget_tokens=loaded.scorer.claim_tokens,
            lease_s=self._terms.lease_s,
            job_id=self._terms.job_id,
            may_take_suspect=has_free_hands,
        )
        self._leases.hold(taken, asked_at)
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
            work = self._landing.retry_store("load", lambda: load(self._store, claim))
        except STORE_TROUBLE:
            raise
        except Exception as error:
            self._landing.fail(claim, error)
            return
        if work.pairs:
            group.works.append(work)
        else:  # another job has scored all of it meanwhile
            group.done.append(ShardResult(claim=claim, scores=[], failures=[], num_tokens=0))

    def _tell_others(self) -> None:
        with suppress(StoreError):  # only a courtesy
            if num_ready := self._num_ready():
                self._on_more(num_ready)

    def _ready_scorers(self) -> list[tuple[int, ScorerSpec]]:
        return ready_scorers(self._store, self._terms.model, self._terms.job_id)

    def _num_ready(self) -> int:
        return claims.num_ready(self._store, self._terms.model, self._terms.job_id)

    def _between_batches(self, group: Group) -> bool:
        self._pulse.beat()
        return self._stop() or self._recall(group)

    def _is_over(self) -> bool:
        return self._stop() or time.monotonic() >= self._ends_at

"""The drain: scores shards until nothing is ready, its time slice ends or a stop is asked.

Chooses which scorer is next, lets a pipeline score its shards, and decides by the outcome how to go on.
Knows no SQL, no Celery and no tensors.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from rankmill.db.errors import StoreError
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.records.shards import Claim
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.store.store import Store
from rankmill.worker.drain.fetch import Fetch
from rankmill.worker.drain.groups import Scoring
from rankmill.worker.drain.landing import Landing
from rankmill.worker.drain.leases import WorkerLeases
from rankmill.worker.drain.loaded_scorer import LoadedScorer, ScorerCache
from rankmill.worker.drain.pipeline import Pipeline
from rankmill.worker.drain.preemption import PreemptionWatch
from rankmill.worker.drain.queue import ShardQueue
from rankmill.worker.drain.report import DrainReport, Outcome
from rankmill.worker.drain.store_trouble import StoreTrouble
from rankmill.worker.drain.timing import DrainTiming
from rankmill.worker.health.heap import Heap
from rankmill.worker.health.stop import Stop
from rankmill.worker.health.store_retry import PASSING
from rankmill.worker.health.watchdog import Pulse

LOADING_ALLOWANCE = 4.0  # a model may have to be downloaded first, and no batch is finished meanwhile

log = logging.getLogger("rankmill.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainTerms:
    """What a drain may do. `job_id` restricts it to one job; `drain_s` is its time slice."""

    model: str
    job_id: int | None
    drain_s: float
    max_attempts: int


class Drain:
    """One drain. `on_more` is called once, with their number, if the first claim leaves shards ready."""

    def __init__(
        self,
        store: Store,
        leases: WorkerLeases,
        scorer_cache: ScorerCache,
        trouble: StoreTrouble,
        terms: DrainTerms,
        *,
        stop: Stop,
        on_more: Callable[[int], None],
        pulse: Pulse,
    ) -> None:
        self._store, self._leases, self._scorer_cache, self._terms = store, leases, scorer_cache, terms
        self._trouble = trouble
        self._stop, self._on_more, self._pulse = stop, on_more, pulse
        self._ends_at = time.monotonic() + terms.drain_s
        self._fruitless: set[int] = set()  # shards we cannot claim must not make us loop for ever
        self._report, self._timing, self._heap = DrainReport(), DrainTiming(), Heap()
        self._queue = ShardQueue(store, leases, trouble, terms.model, terms.job_id)
        self._landing = Landing(store, leases, trouble, self._report, terms.max_attempts)
        self._scoring = Scoring(scorer_cache, self._landing, pulse)

    def drain(self) -> DrainReport:
        """Scores and lands until there is no more to do here. Store trouble ends it and is in the report.

        Whatever was in hand then is given back unharmed.
        """
        if (problem := self._trouble.problem) is not None:
            self._report.problem = problem
            return self._report
        self._trouble.try_again()
        try:
            self._drain_scorers()
            self._report.num_left = self._queue.num_ready() if self._is_over() else 0
        except Exception as error:
            self._leases.start_over()  # an answer may be lost, so we cannot know what we hold
            self._report.problem = reason_of(error)
            if not isinstance(error, PASSING):  # that was waited for already
                self._trouble.begin(self._report.problem)
            if not isinstance(error, StoreError):
                raise
        else:
            self._trouble.end()
        return self._report

    def _drain_scorers(self) -> None:
        while not self._is_over() and (chosen := self._choose()) is not None:
            scorer_id, spec = chosen
            if self._drain_scorer(scorer_id, spec).is_fruitless:
                self._fruitless.add(scorer_id)
            self._report.problem = self._scorer_cache.problem_of(scorer_id) or self._report.problem

    def _choose(self) -> tuple[int, ScorerSpec] | None:
        """The scorer with the most urgent shards that this drain has not given up."""
        ready = self._queue.ready_scorers()
        self._scorer_cache.forget_all_but([scorer_id for scorer_id, _ in ready])
        return next((one for one in ready if one[0] not in self._fruitless), None)

    def _drain_scorer(self, scorer_id: int, spec: ScorerSpec) -> Outcome:
        if self._scorer_cache.problem_of(scorer_id) is not None:
            return Outcome.UNAVAILABLE
        with self._pulse.working(LOADING_ALLOWANCE):
            loaded = self._scorer_cache.load(scorer_id, spec)
        if loaded is None:
            return Outcome.UNAVAILABLE
        with self._pulse.working():
            outcome = self._pipeline(loaded).run()
        if (suspicion := self._scoring.take_suspicion()) is not None:
            self._scorer_cache.back_off(scorer_id, spec, suspicion)
        return outcome

    def _pipeline(self, loaded: LoadedScorer) -> Pipeline:
        fetch = Fetch(
            loaded,
            self._queue,
            self._landing,
            self._trouble,
            stop=self._stop,
            pulse=self._pulse,
            reason_to_end=partial(self._reason_to_end, loaded.scorer_id),
            on_claimed=self._note_claims,
        )
        watch = PreemptionWatch(
            self._store,
            self._queue.first_priorities,
            lambda: self._leases.held,
            self._may_try,
            is_of_one_job=self._terms.job_id is not None,
        )
        return Pipeline(
            loaded,
            fetch,
            self._scoring,
            self._landing,
            watch,
            self._timing,
            stop=self._stop,
            is_over=self._has_had_its_slice,
            on_group_end=self._note_group,
        )

    def _reason_to_end(self, scorer_id: int) -> Outcome | None:
        """Why nothing more of this scorer should be claimed."""
        if self._is_over():
            return Outcome.OVER
        outranked = any(map(self._may_try, self._queue.more_urgent_scorers(scorer_id)))
        return Outcome.OUTRANKED if outranked else None

    def _may_try(self, scorer_id: int) -> bool:
        return scorer_id not in self._fruitless and not self._scorer_cache.problem_of(scorer_id)

    def _note_claims(self, taken: Sequence[Claim]) -> None:
        is_first = not self._report.job_ids
        self._report.job_ids |= {claim.job_id for claim in taken}
        if is_first:
            with suppress(StoreError):  # only a courtesy to other workers
                if num_ready := self._queue.num_ready():
                    self._on_more(num_ready)

    def _note_group(self) -> None:
        self._report.telemetry = self._leases.telemetry = self._timing.total
        self._heap.trim()

    def _is_over(self) -> bool:
        return self._stop() or time.monotonic() >= self._ends_at

    def _has_had_its_slice(self) -> bool:
        """Whether no further group should be scored; one always is, however short the slice."""
        return self._scoring.num_groups > 0 and self._is_over()

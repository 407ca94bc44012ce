"""The one scorer that stays loaded in this process, from task to task.

A scorer that cannot be loaded is left alone for a while, each time longer. Knows how to load a scorer and to
record it in the store.
"""

import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

from rankmill.db.errors import StoreError, WeightsChanged
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.scorers.identity import record_engine
from rankmill.db.store.store import Store
from rankmill.worker.drain.leases import WorkerLeases
from rankmill.worker.scorer.protocol import Scorer

FIRST_BACKOFF_S = 5.0
MAX_BACKOFF_S = 300.0

log = logging.getLogger("rankmill.worker")


@dataclass(frozen=True, slots=True)
class LoadedScorer:
    """A loaded scorer with its ids in the store."""

    scorer_id: int
    engine_id: int
    scorer: Scorer


@dataclass(slots=True)
class _Backoff:
    problem: str
    pause_s: float
    until: float


class ScorerCache:
    """Keeps one scorer. Only the thread that scores may call it; any thread may call `problem_of`."""

    def __init__(self, store: Store, leases: WorkerLeases, load: Callable[[ScorerSpec], Scorer]) -> None:
        self._store, self._leases, self._load_scorer = store, leases, load
        self._loaded: LoadedScorer | None = None
        self._backoffs: dict[int, _Backoff] = {}
        self._is_reported = False

    def problem_of(self, scorer_id: int) -> str | None:
        """Why this scorer is left alone for now; None when it may be tried."""
        backoff = self._backoffs.get(scorer_id)
        return backoff.problem if backoff and time.monotonic() < backoff.until else None

    def load(self, scorer_id: int, spec: ScorerSpec) -> LoadedScorer | None:
        """The scorer, loaded and recorded; None when it cannot be loaded or the store refuses it.

        Then the problem is in this worker's row, and the scorer is left alone for a while. Raises StoreError
        when the store cannot be reached.
        """
        if self._loaded and self._loaded.scorer_id == scorer_id:
            return self._loaded
        self._loaded = None  # its memory is needed for the next
        try:
            scorer = self._load(spec)
            engine_id = record_engine(self._store, scorer_id, scorer.facts)
        except WeightsChanged as error:
            self._refuse(scorer_id, spec, reason_of(error, max_chars=1000))
            return None
        except _LoadingFailed as error:
            self._refuse(scorer_id, spec, str(error))
            return None
        self._leases.describe(f"{scorer.facts.device} {scorer.facts.dtype}")
        self._loaded = LoadedScorer(scorer_id, engine_id, scorer)
        return self._loaded

    def back_off(self, scorer_id: int, spec: ScorerSpec, problem: str) -> None:
        """Unloads the scorer, logs why, and leaves it alone for a while, each time longer."""
        self._loaded = None
        last = self._backoffs.get(scorer_id)
        pause_s = min(last.pause_s * 2, MAX_BACKOFF_S) if last else FIRST_BACKOFF_S
        self._backoffs[scorer_id] = _Backoff(problem, pause_s, time.monotonic() + pause_s)
        fields = {"model": spec.model, "problem": problem, "retry_s": pause_s}
        log.error("model_problem", extra={"fields": fields})

    def _refuse(self, scorer_id: int, spec: ScorerSpec, problem: str) -> None:
        self.back_off(scorer_id, spec, problem)
        self._leases.report_problem(problem)
        self._is_reported = True

    def note_success(self, scorer_id: int) -> None:
        """Notes that this scorer has scored: it has no problem any more, and neither has this worker."""
        self._backoffs.pop(scorer_id, None)
        self._clear_report()

    def forget_all_but(self, wanted: Collection[int]) -> None:
        """Forgets the problems of scorers that no job asks for any more."""
        self._backoffs = {one: backoff for one, backoff in self._backoffs.items() if one in wanted}
        if not self._backoffs:
            self._clear_report()

    def _clear_report(self) -> None:
        if self._is_reported:
            with suppress(StoreError):  # only a note; the next success tries again
                self._leases.report_problem(None)
                self._is_reported = False

    def _load(self, spec: ScorerSpec) -> Scorer:
        log.info("model_loading", extra={"fields": {"model": spec.model}})
        started = time.monotonic()
        try:
            scorer = self._load_scorer(spec)
        except Exception as error:  # whatever a library raises, this model does not work here
            raise _LoadingFailed(reason_of(error, max_chars=1000)) from error
        fields = {
            "model": spec.model,
            "device": scorer.facts.device,
            "dtype": scorer.facts.dtype,
            "seconds": time.monotonic() - started,
        }
        log.info("model_loaded", extra={"fields": fields})
        return scorer


class _LoadingFailed(Exception):
    """Loading failed; the message says why."""

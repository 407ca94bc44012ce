"""The one scorer that is kept loaded in this process, from task to task.

Knows how to load and to record what computes; a scorer that cannot be had rests for a while, ever longer.
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

FIRST_REST_S = 5.0
MAX_REST_S = 300.0

log = logging.getLogger("rankmill.worker")


@dataclass(frozen=True, slots=True)
class LoadedScorer:
    """A loaded scorer with its ids in the store."""

    scorer_id: int
    engine_id: int
    scorer: Scorer


@dataclass(slots=True)
class _Trouble:
    problem: str
    rest_s: float
    until: float


class ScorerCache:
    """Loads scorers one at a time. Only the thread that scores calls it; others may ask `problem_of`."""

    def __init__(self, store: Store, leases: WorkerLeases, load: Callable[[ScorerSpec], Scorer]) -> None:
        self._store, self._leases, self._load_scorer = store, leases, load
        self._loaded: LoadedScorer | None = None
        self._troubles: dict[int, _Trouble] = {}
        self._is_told = False

    def problem_of(self, scorer_id: int) -> str | None:
        """Why this scorer is left alone for now; None when it may be tried."""
        trouble = self._troubles.get(scorer_id)
        return trouble.problem if trouble and time.monotonic() < trouble.until else None

    def load(self, scorer_id: int, spec: ScorerSpec) -> LoadedScorer | None:
        """The scorer, loaded and recorded, or None when it cannot be had: then its problem stands in this
        worker's row and it rests. Raises StoreError when the store cannot be told.
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
        except _CannotBeHad as error:
            self._refuse(scorer_id, spec, str(error))
            return None
        self._leases.describe(f"{scorer.facts.device} {scorer.facts.dtype}")
        self._loaded = LoadedScorer(scorer_id, engine_id, scorer)
        return self._loaded

    def rest(self, scorer_id: int, spec: ScorerSpec, problem: str) -> None:
        """Unloads the scorer, says why, and leaves it alone for a while, longer each time."""
        self._loaded = None
        last = self._troubles.get(scorer_id)
        rest_s = min(last.rest_s * 2, MAX_REST_S) if last else FIRST_REST_S
        self._troubles[scorer_id] = _Trouble(problem, rest_s, time.monotonic() + rest_s)
        fields = {"model": spec.model, "problem": problem, "retry_s": rest_s}
        log.error("model_problem", extra={"fields": fields})

    def _refuse(self, scorer_id: int, spec: ScorerSpec, problem: str) -> None:
        self.rest(scorer_id, spec, problem)
        self._leases.report_problem(problem)
        self._is_told = True

    def works(self, scorer_id: int) -> None:
        """Notes that this scorer has scored: its trouble is over, and this worker is no lost case."""
        self._troubles.pop(scorer_id, None)
        self._take_back()

    def forget_all_but(self, wanted: Collection[int]) -> None:
        """Forgets the trouble with scorers that nobody asks for any more."""
        self._troubles = {one: trouble for one, trouble in self._troubles.items() if one in wanted}
        if not self._troubles:
            self._take_back()

    def _take_back(self) -> None:
        if self._is_told:
            with suppress(StoreError):  # only a note; the next to score makes it again
                self._leases.report_problem(None)
                self._is_told = False

    def _load(self, spec: ScorerSpec) -> Scorer:
        log.info("model_loading", extra={"fields": {"model": spec.model}})
        started = time.monotonic()
        try:
            scorer = self._load_scorer(spec)
        except Exception as error:  # a library's surprise keeps this model from working just as well
            raise _CannotBeHad(reason_of(error, max_chars=1000)) from error
        fields = {
            "model": spec.model,
            "device": scorer.facts.device,
            "dtype": scorer.facts.dtype,
            "seconds": time.monotonic() - started,
        }
        log.info("model_loaded", extra={"fields": fields})
        return scorer


class _CannotBeHad(Exception):
    """Loading failed; says why."""

"""Scores the shards of one loaded scorer in three stages that overlap.

While the main thread scores a group of shards, one thread fetches the next and another lands the last.
Knows the order of the stages; knows no SQL, no Celery and no tensors.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from rankmill.db.records.shards import ShardResult
from rankmill.db.runtime.failpoints import reach
from rankmill.worker.drain.fetch import Fetch
from rankmill.worker.drain.groups import Group, Scoring
from rankmill.worker.drain.landing import Landing
from rankmill.worker.drain.loaded_scorer import LoadedScorer
from rankmill.worker.drain.preemption import PreemptionWatch
from rankmill.worker.drain.report import Outcome
from rankmill.worker.drain.timing import DrainTiming
from rankmill.worker.health.stop import Stop


class Pipeline:
    """Runs once. `is_over` says that the time slice allows no further group; `on_group_end` is called when a
    group has been scored and the one before it has landed.
    """

    def __init__(
        self,
        loaded: LoadedScorer,
        fetch: Fetch,
        scoring: Scoring,
        landing: Landing,
        watch: PreemptionWatch,
        timing: DrainTiming,
        *,
        stop: Stop,
        is_over: Callable[[], bool],
        on_group_end: Callable[[], None],
    ) -> None:
        self._loaded, self._fetch, self._scoring, self._landing = loaded, fetch, scoring, landing
        self._watch, self._timing, self._stop = watch, timing, stop
        self._is_over, self._on_group_end = is_over, on_group_end
        self._ahead, self._behind = ThreadPoolExecutor(1, "ahead"), ThreadPoolExecutor(1, "landing")
        self._landed: Future[None] = Future()
        self._landed.set_result(None)

    def run(self) -> Outcome:
        """Scores group after group. Whatever ends it, what was scored has landed and the rest is released.

        Raises what a stage raises, StoreError above all.
        """
        self._timing.begin()
        with self._watch, self._ahead, self._behind:
            try:
                outcome = self._score_groups()
                self._landed.result()
                return outcome
            except BaseException as error:
                if not isinstance(error, Exception):
                    self._stop.ask()  # this process is being ended: the threads must not go on
                raise
            finally:
                self._ahead.shutdown(wait=True)
                with suppress(Exception):
                    self._landed.result()
                self._landing.release_held()
                self._close_group()

    def _score_groups(self) -> Outcome:
        upcoming = self._ahead.submit(self._fetch.next, may_take_suspect=True)
        while True:
            group = self._wait_for(upcoming)
            if isinstance(group, Outcome):
                return group
            if (reason := self._reason_to_release(group)) is not None:
                return reason
            if not group.is_suspect:  # what is held beside a suspect would be lost with it
                upcoming = self._ahead.submit(self._fetch.next)
            self._land(self._score(group))
            if (reason := self._reason_to_end(group)) is not None:
                return reason

    def _wait_for(self, upcoming: Future[Group | Outcome]) -> Group | Outcome:
        group = upcoming.result()
        self._timing.waited_for_group(None if isinstance(group, Outcome) else group.preparing_since)
        return group

    def _score(self, group: Group) -> list[ShardResult]:
        def should_stop() -> bool:
            return self._stop() or self._watch.recalls(group.claims)

        with self._timing.scoring(self._loaded.scorer):
            results = self._scoring.score(self._loaded, group, self._ahead, should_stop)
        reach("after_forward")
        return results

    def _land(self, results: Sequence[ShardResult]) -> None:
        """Lets results land as soon as those before them have. Raises what kept those from landing."""
        self._landed.result()
        self._close_group()
        self._landed = self._behind.submit(self._landing.land, self._loaded.engine_id, results)

    def _close_group(self) -> None:
        self._timing.waited_for_store()
        self._timing.close_group()
        self._on_group_end()

    def _reason_to_release(self, group: Group) -> Outcome | None:
        """Why a group that was fetched should not be scored."""
        if self._stop() or self._is_over():
            return Outcome.OVER
        return Outcome.RECALLED if self._watch.recalls(group.claims) else None

    def _reason_to_end(self, group: Group) -> Outcome | None:
        """Why nothing should be scored after this group."""
        if self._scoring.suspicion is not None:
            return Outcome.BROKEN
        if self._watch.has_recalled:
            return Outcome.RECALLED
        return Outcome.SUSPECT_SCORED if group.is_suspect else None

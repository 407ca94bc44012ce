"""Scores what was claimed together: all of it at once, or shard by shard when that fails.

Joins what a scorer returns to the claims. Knows neither what is claimed next nor how scores are stored.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rankmill.db.records.pairs import PairResults
from rankmill.db.records.shards import Claim, ShardResult, ShardWork
from rankmill.db.runtime.log_events import reason_of
from rankmill.worker.drain.landing import Landing
from rankmill.worker.drain.loaded_scorer import LoadedScorer, ScorerCache
from rankmill.worker.errors import Stopped
from rankmill.worker.health.watchdog import Pulse
from rankmill.worker.scorer.protocol import Prepared

MAX_FAILED_IN_A_ROW = 3

log = logging.getLogger("rankmill.worker")


@dataclass(slots=True)
class Group:
    """Shards claimed together: `works` must be scored, `done` have nothing left to score.

    `error` is what went wrong in preparing them; since the monotonic time `preparing_since` their texts are
    loaded.
    """

    works: list[ShardWork] = field(default_factory=list)
    done: list[ShardResult] = field(default_factory=list)
    prepared: Prepared | None = None
    error: Exception | None = None
    preparing_since: float | None = None

    @property
    def claims(self) -> list[Claim]:
        return [work.claim for work in self.works]

    @property
    def is_suspect(self) -> bool:
        """Whether this is a suspect, which is always claimed alone."""
        return any(claim.is_suspect for claim in self.claims)


class Scoring:
    """Scores the groups of one drain. `suspicion` says why the engine itself seems broken, if it does."""

    def __init__(self, scorer_cache: ScorerCache, landing: Landing, pulse: Pulse) -> None:
        self._scorer_cache, self._landing, self._pulse = scorer_cache, landing, pulse
        self._failed_in_a_row: list[Claim] = []
        self.num_groups = 0
        self.suspicion: str | None = None

    def score(
        self, loaded: LoadedScorer, group: Group, ahead: ThreadPoolExecutor, should_stop: Callable[[], bool]
    ) -> list[ShardResult]:
        """Results to land. A group that fails together is tried shard by shard, so that one bad shard costs
        no other an attempt. What is unscored when a stop is asked is in no result and stays held.
        """
        self.num_groups += 1

        def between_batches() -> bool:
            self._pulse.beat()
            return should_stop()

        if not group.works:
            return group.done
        try:
            if group.error:
                raise group.error
            assert group.prepared is not None
            with self._pulse.scoring(group.claims):
                found = loaded.scorer.score(group.prepared, between_batches)
        except Stopped as stopped:
            return group.done + joined(group.works, stopped.results)
        except Exception as error:
            return group.done + self._score_alone(loaded, group, error, ahead, between_batches)
        self._worked(loaded)
        return group.done + joined(group.works, found)

    def take_suspicion(self) -> str | None:
        """The suspicion, which is then forgotten."""
        suspicion, self.suspicion = self.suspicion, None
        return suspicion

    def _score_alone(
        self,
        loaded: LoadedScorer,
        group: Group,
        error: Exception,
        ahead: ThreadPoolExecutor,
        should_stop: Callable[[], bool],
    ) -> list[ShardResult]:
        if len(group.works) == 1:
            self._failed(group.works[0].claim, error)
            return []
        fields = {"num_shards": len(group.works), "reason": reason_of(error)}
        log.warning("group_failed", extra={"fields": fields})
        results: list[ShardResult] = []
        for work in group.works:
            try:
                # In the thread that always prepares, because a scorer allows only one such thread.
                prepared = ahead.submit(self._prepare, loaded, work).result()
                with self._pulse.scoring([work.claim]):
                    results += joined([work], loaded.scorer.score(prepared, should_stop))
                self._worked(loaded)
            except Stopped:
                break
            except Exception as alone:
                self._failed(work.claim, alone)
            if self.suspicion:
                break
        return results

    def _prepare(self, loaded: LoadedScorer, work: ShardWork) -> Prepared:
        with self._pulse.preparing([work.claim]):
            return loaded.scorer.prepare([work])

    def _failed(self, claim: Claim, error: Exception) -> None:
        self._landing.fail(claim, error)
        # A part of a shard that failed before says nothing new about the engine.
        if not any(_is_part_of(claim, failed) for failed in self._failed_in_a_row):
            self._failed_in_a_row.append(claim)
        if len(self._failed_in_a_row) >= MAX_FAILED_IN_A_ROW:
            self.suspicion = (
                f"{len(self._failed_in_a_row)} shards in a row could not be scored, the last for: "
                f"{reason_of(error)}. Check the device and the model (rankmill doctor)."
            )

    def _worked(self, loaded: LoadedScorer) -> None:
        self._failed_in_a_row.clear()
        self._scorer_cache.note_success(loaded.scorer_id)


def joined(works: Sequence[ShardWork], results: Sequence[PairResults | None]) -> list[ShardResult]:
    """What a scorer gave for these shards, with their claims; those not scored whole are left out."""
    return [
        ShardResult(
            claim=work.claim,
            scores=found.scores,
            failures=[*work.failures, *found.failures],
            num_tokens=found.num_tokens,
        )
        for work, found in zip(works, results, strict=True)
        if found is not None
    ]


def _is_part_of(claim: Claim, whole: Claim) -> bool:
    """Whether the claim's pairs are among those of `whole`, which may have been split since."""
    is_within = whole.first_pair <= claim.first_pair and claim.end_pair <= whole.end_pair
    return claim.job_id == whole.job_id and is_within

"""Scorers for queue tests: the null scorer, and the null scorer with something going wrong inside it."""

from collections.abc import Callable, Sequence

from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.records.shards import ShardResult, ShardWork
from rankmill.worker.scorer.null_scorer import NullScorer
from rankmill.worker.scorer.protocol import Prepared
from tests.support.jobs.small_jobs import FACTS

Hook = Callable[[Sequence[ShardWork]], None]


def nothing(_works: Sequence[ShardWork]) -> None:
    pass


class HookedScorer(NullScorer):
    """The null scorer; `before_preparing` and `before_scoring` see the works first and may raise or wait."""

    def __init__(
        self, *, claim_tokens: int = 10**6, before_preparing: Hook = nothing, before_scoring: Hook = nothing
    ) -> None:
        super().__init__()
        self.facts = FACTS  # the same weights, to the store, as the stand-in's
        self.claim_tokens = claim_tokens
        self._before_preparing, self._before_scoring = before_preparing, before_scoring

    def prepare(self, works: Sequence[ShardWork]) -> Prepared:
        self._before_preparing(works)
        return super().prepare(works)

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[ShardResult]:
        self._before_scoring(prepared.works)
        return super().score(prepared, should_stop)

    def load(self, _spec: ScorerSpec) -> "HookedScorer":
        """Stands where a scorer is loaded."""
        return self


def raising_for(text: str, error: Exception) -> Hook:
    """A hook that raises `error` when any of the works holds a document with `text` in it."""

    def look(works: Sequence[ShardWork]) -> None:
        if any(text in content for work in works for content in work.texts.values()):
            raise error

    return look

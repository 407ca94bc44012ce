"""Scorers for queue tests: the null scorer, and the null scorer with something going wrong inside it."""

from collections.abc import Callable, Sequence

from rankmill.db.records.pairs import PairResults, PairTexts
from rankmill.db.records.scorers import ScorerSpec
from rankmill.worker.scorer.null_scorer import NullScorer
from rankmill.worker.scorer.protocol import Prepared
from tests.support.jobs.small_jobs import FACTS

Hook = Callable[[Sequence[PairTexts]], None]


def nothing(_requests: Sequence[PairTexts]) -> None:
    pass


class HookedScorer(NullScorer):
    """The null scorer; `before_preparing` and `before_scoring` see requests first and may raise or wait."""

    def __init__(
        self, *, claim_tokens: int = 10**6, before_preparing: Hook = nothing, before_scoring: Hook = nothing
    ) -> None:
        super().__init__()
        self.facts = FACTS  # the same weights, to the store, as the stand-in's
        self.claim_tokens = claim_tokens
        self._before_preparing, self._before_scoring = before_preparing, before_scoring

    def prepare(self, requests: Sequence[PairTexts]) -> Prepared:
        self._before_preparing(requests)
        return super().prepare(requests)

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
        self._before_scoring(prepared.requests)
        return super().score(prepared, should_stop)

    def load(self, _spec: ScorerSpec) -> "HookedScorer":
        """Stands where a scorer is loaded."""
        return self


def raising_for(text: str, error: Exception) -> Hook:
    """A hook that raises `error` when any of the requests holds a document with `text` in it."""

    def look(requests: Sequence[PairTexts]) -> None:
        if any(text in content for request in requests for content in request.texts.values()):
            raise error

    return look

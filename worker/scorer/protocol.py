"""The interface of a scorer.

A request is pairs that are scored as one: it gets one result, whole or not at all.
Knows pairs and their texts; knows no model, no claim and no store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rankmill.db.records.pairs import PairResults, PairTexts
from rankmill.db.records.scorers import EngineFacts
from rankmill.db.records.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Prepared:
    """Requests made ready for scoring. A scorer may keep more here than this."""

    requests: Sequence[PairTexts]


class Scorer(Protocol):
    """Scores requests.

    `prepare` may run in another thread than `score`, one call ahead of it. Both are pure in what they
    return: the same pairs get the same scores, whatever was prepared or scored before.
    """

    @property
    def facts(self) -> EngineFacts:
        """What computes here: the device, the number format, the digests of the model's files."""

    @property
    def claim_tokens(self) -> int:
        """How many estimated tokens one call should bring to keep this scorer busy."""

    def prepare(self, requests: Sequence[PairTexts]) -> Prepared:
        """Turns texts into batches."""

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
        """Scores what was prepared: one result for each request, in the order given.

        A pair that cannot be scored becomes a failure of its request and disturbs no other.
        `should_stop` is asked between batches. When it says yes, raises Stopped with the requests that are
        scored whole.
        """

    def take_counts(self) -> Telemetry:
        """What was computed since the last call. A scorer measures no times."""


def score_once(scorer: Scorer, request: PairTexts) -> PairResults:
    """Scores one request from start to end; nobody can stop it."""
    [results] = scorer.score(scorer.prepare([request]), lambda: False)
    return results

"""A drain in the test's own process: a worker without Celery, and what its store must hold afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import func, select

from rankmill.db.records.pairs import PairTexts, TextPair
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.results.ranked import ranked_results
from rankmill.db.schema.shards import shards
from rankmill.db.schema.texts_and_scores import scores
from rankmill.db.store.store import Store
from rankmill.worker.drain.drain import Drain, DrainTerms
from rankmill.worker.drain.leases import WorkerLeases
from rankmill.worker.drain.loaded_scorer import ScorerCache
from rankmill.worker.drain.report import DrainReport
from rankmill.worker.drain.store_trouble import StoreTrouble
from rankmill.worker.health.stop import Stop
from rankmill.worker.health.watchdog import Pulse
from rankmill.worker.scorer.null_scorer import NullScorer
from rankmill.worker.scorer.protocol import Scorer, score_once


class Desk:
    """One worker of the null model; every `drain` is one task of it."""

    def __init__(
        self,
        store: Store,
        load: Callable[[ScorerSpec], Scorer] = lambda _spec: NullScorer(),
        *,
        model: str = "null",
        lease_s: float = 60,
        heartbeat_s: float = 60,
    ) -> None:
        self.store, self.model = store, model
        self.stop, self.pulse = Stop(), Pulse()
        self.leases = WorkerLeases(store, model, stop=self.stop, lease_s=lease_s, heartbeat_s=heartbeat_s)
        self.scorer_cache = ScorerCache(store, self.leases, load)
        self.trouble = StoreTrouble(self.leases)
        self.told: list[int] = []

    def drain(self, *, job_id: int | None = None, drain_s: float = 60, max_attempts: int = 3) -> DrainReport:
        terms = DrainTerms(model=self.model, job_id=job_id, drain_s=drain_s, max_attempts=max_attempts)
        drain = Drain(
            self.store,
            self.leases,
            self.scorer_cache,
            self.trouble,
            terms,
            stop=self.stop,
            on_more=self.told.append,
            pulse=self.pulse,
        )
        return drain.drain()


@contextmanager
def desk(
    store: Store, load: Callable[[ScorerSpec], Scorer] = lambda _spec: NullScorer(), **options: object
) -> Iterator[Desk]:
    """A worker that says farewell at the end."""
    opened = Desk(store, load, **options)  # type: ignore[arg-type]
    try:
        yield opened
    finally:
        opened.leases.end()


def states(store: Store) -> dict[str, int]:
    """How many shards are in each state."""
    with store.reading() as connection:
        rows = connection.execute(select(shards.c.state, func.count()).group_by(shards.c.state)).all()
    return {row[0]: row[1] for row in rows}


def num_burned(store: Store) -> int:
    """Attempts lost over all shards that are not done, and those beyond the first of shards that are."""
    burned = shards.c.attempt - shards.c.num_releases
    with store.reading() as connection:
        rows = connection.execute(select(shards.c.state, burned)).all()
    return sum(num - (state in ("done", "claimed")) for state, num in rows)


def num_scores(store: Store) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(scores)).scalar_one()


def logits(store: Store, job_id: int) -> dict[tuple[str, str], float | None]:
    """The logit of each pair of a job; fails when a pair shows twice."""
    found: dict[tuple[str, str], float | None] = {}
    for row in ranked_results(store, job_id):
        assert (row.query_id, row.document_id) not in found, f"{row.query_id}, {row.document_id} shows twice"
        found[row.query_id, row.document_id] = row.logit
    return found


def expected_logits(query_texts: list[str], document_texts: list[str]) -> dict[tuple[str, str], float]:
    """What the null scorer gives for all pairs of texts, named as `small_jobs` names them."""
    num_queries = len(query_texts)
    texts = dict(enumerate([*query_texts, *document_texts]))
    pairs = [
        TextPair(query, num_queries + document)
        for query in range(num_queries)
        for document in range(len(document_texts))
    ]
    result = score_once(NullScorer(), PairTexts(pairs=pairs, texts=texts))
    return {
        (f"q{score.query_text_id + 1}", f"d{score.document_text_id - num_queries + 1}"): score.logit
        for score in result.scores
    }

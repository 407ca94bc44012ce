"""Span rounds: a job that ended and was asked for spans gets a refining job, and then the spans that finds.

They run as a thread of every worker's parent process; the rescue rounds ring for the new job's shards. Any
number at once is harmless. Knows the store's verbs; knows no scorer.
"""

from functools import partial

from rankmill.db.jobs.span_requests import open_requests
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.db.submission.clause_job import advance_clause_job
from rankmill.db.submission.sharding import slice_pairs
from rankmill.worker.maintenance.periodic import Periodic


class SpanRounds(Periodic):
    """As often as rescue rounds, for the jobs of this worker's model."""

    def __init__(self, store: Store, settings: Settings, model: str) -> None:
        super().__init__("spans", settings.rescue_s, failure="refining_failed")
        self._store, self._model = store, model
        self._slicer = partial(slice_pairs, shard_tokens=settings.shard_tokens)

    def round(self) -> None:
        """One round. Raises StoreError."""
        for job_id in open_requests(self._store, self._model):
            if self._is_ended:
                return
            advance_clause_job(self._store, job_id, self._slicer)

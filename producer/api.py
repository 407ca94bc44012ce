"""The way in from Python: run, submit, watch and results, with files or values as inputs.

Settings left out come from RANKMILL_* variables, `.env` and the defaults, as on the command line. Errors are
those of rankmill.producer.errors and rankmill.db.errors; each says what to do.
"""

import os
from collections.abc import Callable, Iterator
from typing import TypedDict, Unpack

from rankmill.db.jobs.find import find_job
from rankmill.db.records.jobs import JobProgress, Priority, Submission
from rankmill.db.records.rankings import Publishing
from rankmill.db.records.results import ResultRow
from rankmill.db.records.scorers import LongDocuments, Precision
from rankmill.db.results.ranked import ranked_results as stored_results
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.producer.errors import UsageError
from rankmill.producer.processes.interruption import Interrupted, Interruption
from rankmill.producer.running.progress import ProgressSnapshot, follow_progress
from rankmill.producer.running.run import RunObserver, run_job
from rankmill.producer.settings import settings_from
from rankmill.producer.sources.kinds import CandidateInput, DocumentInput, QueryInput
from rankmill.producer.submission.inputs import JobOptions, inputs_from
from rankmill.producer.submission.submit import submit_job


class SettingsGiven(TypedDict, total=False):
    """Settings that a call may give; `rankmill run --help` says what they mean."""

    model: str | os.PathLike[str]
    revision: str
    precision: Precision | str
    max_length: int
    long_documents: LongDocuments | str
    window: int
    stride: int
    batch_tokens: int
    store: str
    broker: str


class JobResults:
    """A job's results by query, in the order of the input, then by rank. Each iteration reads the store anew.

    Failed pairs have no rank and the reason in `error`. Pairs that are not scored yet are left out.
    """

    def __init__(self, store: str, job_id: int, top_k: int | None, min_score: float | None) -> None:
        self.job_id = job_id
        self._store, self._top_k, self._min_score = store, top_k, min_score

    def __iter__(self) -> Iterator[ResultRow]:
        with open_store(self._store) as opened:
            yield from stored_results(opened, self.job_id, top_k=self._top_k, min_score=self._min_score)


def run(
    corpus: DocumentInput,
    queries: QueryInput,
    candidates: CandidateInput | None = None,
    *,
    name: str | None = None,
    top_k: int | None = None,
    min_score: float | None = None,
    spans: int | None = None,
    publish: str | None = None,
    on_progress: Callable[[JobProgress], None] | None = None,
    **settings: Unpack[SettingsGiven],
) -> JobResults:
    """Ranks here and now, as `rankmill run` does, and returns the results when every pair has been scored.

    `corpus`, `queries` and `candidates` are paths or Python values: documents and queries as mappings,
    tuples or a dict of texts by id; candidates as (query id, document id). No candidates means all pairs.
    `Collection("kb")` and `QuerySet("faq")` are what the store has under these names.
    `spans=N` also finds the best clauses of each query's best N documents, as each result's `spans`.
    `publish` names the ranking in which the results are published.
    The same call again continues what was interrupted. Raises UsageError, InputError, MissingPrerequisite,
    RuntimeFailure and the store's errors; KeyboardInterrupt when asked to stop.
    """
    chosen = _settings(settings)
    try:
        with open_store(chosen.store, create=True) as store, Interruption() as interruption:
            outcome = run_job(
                store,
                inputs_from(corpus, queries, candidates, chosen.max_line_bytes),
                _options(name, None, top_k, min_score, spans, publish),
                chosen,
                interruption=interruption,
                observer=_ProgressCallback(on_progress),
            )
    except Interrupted as interrupted:
        raise KeyboardInterrupt from interrupted
    return JobResults(chosen.store, outcome.progress.job_id, top_k, min_score)


def submit(
    corpus: DocumentInput,
    queries: QueryInput,
    candidates: CandidateInput | None = None,
    *,
    name: str | None = None,
    priority: Priority | str | None = None,
    top_k: int | None = None,
    min_score: float | None = None,
    spans: int | None = None,
    publish: str | None = None,
    **settings: Unpack[SettingsGiven],
) -> Submission:
    """Records a job and tells the workers behind the broker. Inputs are those of `run`.

    The same inputs with the same scorer are the same job: then `is_new` is False. Raises UsageError,
    InputError, MissingPrerequisite (no broker, no model directory) and the store's errors; then nothing is
    recorded.
    """
    chosen = _settings(settings)
    urgency = None if priority is None else Priority(priority)
    options = _options(name, urgency, top_k, min_score, spans, publish)
    with open_store(chosen.store, create=True) as store:
        inputs = inputs_from(corpus, queries, candidates, chosen.max_line_bytes)
        return submit_job(store, inputs, options, chosen).submission


def watch(job: int | str, *, every_s: float = 1.0, store: str | None = None) -> Iterator[JobProgress]:
    """Yields the job's progress at once, then every `every_s` seconds until it has ended.

    `job` is an id or a name. Raises UnknownJob and the store's other errors.
    """
    with open_store(settings_from({"store": store}).store) as opened:
        for snapshot in follow_progress(opened, find_job(opened, job), every_s=every_s):
            yield snapshot.progress


def results(
    job: int | str, *, top_k: int | None = None, min_score: float | None = None, store: str | None = None
) -> JobResults:
    """The job's results, as far as it is scored. Raises UnknownJob and the store's other errors."""
    url = settings_from({"store": store}).store
    with open_store(url) as opened:
        return JobResults(url, find_job(opened, job), top_k, min_score)


def _options(
    name: str | None,
    priority: Priority | None,
    top_k: int | None,
    min_score: float | None,
    spans: int | None,
    publish: str | None,
) -> JobOptions:
    """The options of a job for `record`. Raises UsageError."""
    if spans is not None and spans < 1:
        raise UsageError(f"spans={spans} must be 1 or more: it is a number of documents of each query.")
    publishing = None if publish is None else Publishing(ranking=publish, keep=None)
    return JobOptions(
        name=name, priority=priority, top_k=top_k, min_score=min_score, spans=spans, publishing=publishing
    )


class _ProgressCallback(RunObserver):
    def __init__(self, on_progress: Callable[[JobProgress], None] | None) -> None:
        self._on_progress = on_progress

    def progressed(self, snapshot: ProgressSnapshot, note: str) -> None:  # noqa: ARG002  (the name is the observer's)
        if self._on_progress is not None:
            self._on_progress(snapshot.progress)


def _settings(given: SettingsGiven) -> Settings:
    model = given.get("model")
    return settings_from({**given, "model": None if model is None else os.fspath(model)})

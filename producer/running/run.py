"""Running a job from inputs to its last score, with whatever workers there are or one of its own.

`--broker` given and a live worker known: that worker scores. Otherwise a worker of our own, for this job
only, on the given broker or on a private Redis. Knows no command line and no file of results.
"""

import time
from dataclasses import dataclass
from functools import partial

from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobProgress, JobState, Submission
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.db.submission.clause_job import advance_clause_job
from rankmill.db.submission.sharding import slice_pairs
from rankmill.producer.downstream.follow_up import FollowUpResult, check_notification, follow_up
from rankmill.producer.errors import RuntimeFailure
from rankmill.producer.processes.interruption import Interruption
from rankmill.producer.running.local_worker import check_prerequisites
from rankmill.producer.running.progress import Moment, moments
from rankmill.producer.running.supervisor import JobSupervisor, has_live_worker
from rankmill.producer.submission.inputs import Inputs, JobOptions
from rankmill.producer.submission.record import Recorded, record
from rankmill.producer.submission.scorer import scorer_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to. `num_scored_now` counts pairs scored since it began, by whomever."""

    submission: Submission
    progress: JobProgress
    duration_s: float
    num_scored_now: int
    followed_up: FollowUpResult


class RunObserver:
    """What a run tells while it runs; silent unless a person watches."""

    def recorded(self, submission: Recorded, row: JobProgress) -> None:
        """The job is in the store."""

    def moved(self, moment: Moment, note: str) -> None:
        """Progress was made, or some time went by."""


def run_job(
    store: Store,
    inputs: Inputs,
    options: JobOptions,
    settings: Settings,
    *,
    interruption: Interruption,
    observer: RunObserver,
) -> Outcome:
    """Submits, scores and waits for the end; the same call again continues where an earlier one stopped.

    Raises the errors of `record`, MissingPrerequisite when no worker can work, RuntimeFailure when one
    keeps dying or the job is cancelled meanwhile.
    """
    started = time.monotonic()
    check_notification(options.notification, settings)
    chosen, scorer = settings, scorer_spec(settings)
    settings = settings.model_copy(update={"model": scorer.model})

    def check() -> None:
        if not has_live_worker(store, settings):
            check_prerequisites(settings)

    submission = record(store, inputs, scorer, options, settings, before_new=check)
    row = job_progress(store, submission.job_id)
    observer.recorded(submission, row)
    num_scored_before = row.num_scored
    if row.state is not JobState.DONE:
        row = _score(store, settings, submission.job_id, interruption, observer)
    if row.state is JobState.DONE:
        _refine(store, settings, row.job_id, interruption, observer)
    if row.state is JobState.CANCELLED:
        raise RuntimeFailure(f"Job {row.job_id} was cancelled while it ran.")
    return Outcome(
        submission=submission,
        progress=row,
        duration_s=time.monotonic() - started,
        num_scored_now=row.num_scored - num_scored_before,
        followed_up=follow_up(store, chosen, row.job_id),
    )


def _refine(
    store: Store, settings: Settings, job_id: int, interruption: Interruption, observer: RunObserver
) -> None:
    """Finds the spans that the job was asked for, by a job of their own."""
    slicer = partial(slice_pairs, shard_tokens=settings.shard_tokens)
    while (refining_job_id := advance_clause_job(store, job_id, slicer)) is not None:
        _score(store, settings, refining_job_id, interruption, observer)


def _score(
    store: Store, settings: Settings, job_id: int, interruption: Interruption, observer: RunObserver
) -> JobProgress:
    with JobSupervisor(
        store, settings, job_id, job_progress(store, job_id).num_shards, interruption
    ) as supervisor:
        for moment in moments(store, job_id):
            observer.moved(moment, supervisor.note(moment))
    return moment.progress

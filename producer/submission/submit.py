"""Submits a job: records it, then tells workers. Knows the order, and what a lost message means."""

from contextlib import suppress
from dataclasses import dataclass

from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.producer.broker.doorbell import BrokerUnavailable, Doorbell
from rankmill.producer.broker.workers import workers_for
from rankmill.producer.downstream.follow_up import FollowUpResult, check_notification, follow_up
from rankmill.producer.errors import MissingPrerequisite
from rankmill.producer.submission.inputs import Inputs, JobOptions
from rankmill.producer.submission.record import RecordedJob, record
from rankmill.producer.submission.scorer import scorer_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedJob:
    """A recorded job. `warning` says why no worker heard of it at once, if none did.

    `followed_up` is the result for a job that had ended before.
    """

    submission: RecordedJob
    warning: str | None
    followed_up: FollowUpResult | None = None


def submit_job(
    store: Store, inputs: Inputs, options: JobOptions, settings: Settings, *, key: str | None = None
) -> SubmittedJob:
    """Records the job and tells its workers. `key` is explained in `record`.

    The broker is connected first, so that nothing is recorded without one: raises MissingPrerequisite. If it
    goes away after that, there is a warning, and the next rescue round of a worker finds the job. Raises the
    errors of `record`, too.
    """
    check_notification(options.notification, settings)
    scorer = scorer_spec(settings)
    if settings.broker is None:
        raise MissingPrerequisite(
            "Workers hear of a job through a broker. Name one with --broker (RANKMILL_BROKER), "
            "for example redis://localhost:6379/0; or use rankmill run, which needs none."
        )
    with Doorbell(settings.broker) as doorbell:
        submission = record(store, inputs, scorer, options, settings, key=key)
        if job_progress(store, submission.job_id).state is not JobState.ACTIVE:
            followed_up = follow_up(store, settings, submission.job_id)
            return SubmittedJob(submission=submission, warning=None, followed_up=followed_up)
        num_workers = len(workers_for(store, scorer.model, broker=settings.broker))
        try:
            doorbell.ring(scorer.model, submission.job_id, min(max(1, num_workers), submission.num_shards))
        except BrokerUnavailable as error:
            return SubmittedJob(
                submission=submission,
                warning="The job is recorded, but workers could not be told: they find it in their next "
                f"rescue round. {error}",
            )
    if not num_workers:
        return SubmittedJob(
            submission=submission,
            warning=f"No worker for model {scorer.model} is known yet. Start one: rankmill worker",
        )
    return SubmittedJob(submission=submission, warning=None)


def ring_again(store: Store, job_id: int, broker: str | None) -> None:
    """Tells workers of a job that goes on, if there is a broker; otherwise a rescue round finds it."""
    if broker is not None:
        with suppress(BrokerUnavailable), Doorbell(broker) as doorbell:
            doorbell.ring(job_progress(store, job_id).scorer.model, job_id)

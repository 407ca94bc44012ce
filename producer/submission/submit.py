"""Sending: a job is recorded, then the doorbell rings. Knows the order and what a lost ring means."""

from contextlib import suppress
from dataclasses import dataclass

from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.producer.broker.doorbell import BrokerUnavailable, Doorbell
from rankmill.producer.broker.workers import able_workers
from rankmill.producer.downstream.follow_up import FollowUpResult, check_notification, follow_up
from rankmill.producer.errors import MissingPrerequisite
from rankmill.producer.submission.inputs import Inputs, JobOptions
from rankmill.producer.submission.record import Recorded, record
from rankmill.producer.submission.scorer import scorer_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A recorded job; `warning` says what keeps workers from hearing of it at once, if anything.

    One that had ended already is followed up from here.
    """

    submission: Recorded
    warning: str | None
    followed_up: FollowUpResult | None = None


def submit_job(
    store: Store, inputs: Inputs, options: JobOptions, settings: Settings, *, key: str | None = None
) -> Submitted:
    """Records the job and rings for its workers. `key` makes it another than those with the same inputs.

    The broker is tried first, so that nothing is recorded when there is none: raises MissingPrerequisite.
    One that goes away after that is only a warning: the next rescue round of a worker finds the job.
    Raises the errors of `record`.
    """
    check_notification(options.notification, settings)
    scorer = scorer_spec(settings)
    if settings.broker is None:
        raise MissingPrerequisite(
            "There is no broker to tell workers of the job. Name one with --broker (RANKMILL_BROKER), "
            "for example redis://localhost:6379/0; or use rankmill run, which needs none."
        )
    with Doorbell(settings.broker) as doorbell:
        submission = record(store, inputs, scorer, options, settings, key=key)
        if job_progress(store, submission.job_id).state is not JobState.ACTIVE:
            followed_up = follow_up(store, settings, submission.job_id)
            return Submitted(submission=submission, warning=None, followed_up=followed_up)
        num_workers = len(able_workers(store, scorer.model, broker=settings.broker))
        try:
            doorbell.ring(scorer.model, submission.job_id, min(max(1, num_workers), submission.num_shards))
        except BrokerUnavailable as error:
            return Submitted(
                submission=submission,
                warning="The job is stored, but its doorbell could not be rung: workers find it in their "
                f"next rescue round. {error}",
            )
    if not num_workers:
        return Submitted(
            submission=submission,
            warning=f"No worker of model {scorer.model} is known yet. Start one: rankmill worker",
        )
    return Submitted(submission=submission, warning=None)


def ring_again(store: Store, job_id: int, broker: str | None) -> None:
    """Rings for a job that goes on, if a broker is named and there. Without that a rescue round finds it."""
    if broker is not None:
        with suppress(BrokerUnavailable), Doorbell(broker) as doorbell:
            doorbell.ring(job_progress(store, job_id).scorer.model, job_id)

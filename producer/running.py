"""Running a job from inputs to its last score, with whatever workers there are or one of its own.

`--broker` given and a live worker known: that worker scores. Otherwise a worker of our own, for this job
only, on the given broker or on a private Redis. Knows no command line and no file of results.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from db.claims import rescue_orphans
from db.jobs import progress
from db.records import JobProgress, JobState, Submission
from db.settings import Settings
from db.store import Store
from producer.doorbell import Doorbell
from producer.errors import MissingPrerequisite, RuntimeFailure
from producer.interruption import Interruption
from producer.own_worker import OwnWorker, check_prerequisites
from producer.scorer_choice import scorer_spec
from producer.submission import Inputs, Wishes, record
from producer.watching import Moment, absence, moments, num_ended

_LOOK_AFTER_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to. `num_scored_now` counts pairs scored since it began, by whomever."""

    submission: Submission
    progress: JobProgress
    duration_s: float
    num_scored_now: int


class Screen:
    """What a run tells while it runs; silent unless a person watches."""

    def recorded(self, submission: Submission, row: JobProgress) -> None:
        """The job is in the store."""

    def moved(self, moment: Moment, note: str) -> None:
        """Progress was made, or some time went by."""


def run_job(
    store: Store,
    inputs: Inputs,
    wishes: Wishes,
    settings: Settings,
    *,
    interruption: Interruption,
    screen: Screen,
) -> Outcome:
    """Submits, scores and waits for the end; the same call again continues where an earlier one stopped.

    Raises the errors of `record`, MissingPrerequisite when no worker can work, RuntimeFailure when one
    keeps dying or the job is cancelled meanwhile.
    """
    started = time.monotonic()
    scorer = scorer_spec(settings)
    settings = settings.model_copy(update={"model": scorer.model})
    if not has_live_worker(store, settings):
        check_prerequisites(settings)
    submission = record(store, inputs, scorer, wishes, settings)
    row = progress(store, submission.job_id)
    screen.recorded(submission, row)
    num_scored_before = row.num_scored
    if row.state is not JobState.DONE:
        row = _score(store, settings, submission, interruption, screen)
    if row.state is JobState.CANCELLED:
        raise RuntimeFailure(f"Job {row.job_id} was cancelled while it ran.")
    return Outcome(
        submission=submission,
        progress=row,
        duration_s=time.monotonic() - started,
        num_scored_now=row.num_scored - num_scored_before,
    )


def has_live_worker(store: Store, settings: Settings) -> bool:
    """Whether `--broker` leads to a worker that takes this model's jobs."""
    return settings.broker is not None and not absence(store, settings.model)


def _score(
    store: Store, settings: Settings, submission: Submission, interruption: Interruption, screen: Screen
) -> JobProgress:
    job_id = submission.job_id
    rescue_orphans(store, settings.max_attempts)
    if has_live_worker(store, settings):
        assert settings.broker is not None
        with Doorbell(settings.broker) as doorbell:
            doorbell.ring(settings.model, job_id, submission.num_shards)
        return _watched(store, job_id, screen, lambda _: absence(store, settings.model))
    with ExitStack() as stack:
        with interruption.held():  # nobody else would stop what it started
            own = stack.enter_context(OwnWorker(store, settings, job_id, interruption))
        try:
            return _watched(store, job_id, screen, lambda moment: _looked_after(store, settings, own, moment))
        except MissingPrerequisite as missing:
            raise MissingPrerequisite(
                f"{missing} Job {job_id} waits: mend that and run the same command again, "
                f"or give it up with rankmill cancel {job_id}."
            ) from missing


def _watched(store: Store, job_id: int, screen: Screen, look_after: Callable[[Moment], str]) -> JobProgress:
    """Shows progress until the job ends; every two seconds has its workers looked after."""
    looked_at, note = float("-inf"), ""
    for moment in moments(store, job_id):
        if moment.progress.state is JobState.ACTIVE and time.monotonic() - looked_at > _LOOK_AFTER_EVERY_S:
            note, looked_at = look_after(moment), time.monotonic()
        screen.moved(moment, note if moment.progress.state is JobState.ACTIVE else "")
    return moment.progress


def _looked_after(store: Store, settings: Settings, own: OwnWorker, moment: Moment) -> str:
    own.keep_alive(num_ended(moment.progress))
    if rescue_orphans(store, settings.max_attempts).num_returned:
        own.ring()
    return "" if moment.pairs_per_s is not None else own.note()

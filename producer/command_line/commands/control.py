"""The commands that control jobs: pause, resume, retry and cancel."""

from typing import TYPE_CHECKING, Annotated

import typer

from rankmill.producer.command_line import options
from rankmill.producer.command_line.output.opening import opened_store

if TYPE_CHECKING:
    from rankmill.db.store.store import Store


def pause(job: options.Job, store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """Pause a job: workers return its shards after their current batch and take no more.

    Example: rankmill pause tonight
    """
    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.pause import pause as pause_job

    with opened_store(store) as opened:
        job_id = find_job(opened, job)
        words = f"job {job_id} is paused; resume it with rankmill resume {job_id}"
        if not pause_job(opened, job_id):
            words = f"job {job_id} has ended already; nothing was changed"
        _report(opened, job_id, words, as_json=json_)


def resume(
    job: options.Job,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Resume a paused job where it stopped.

    Example: rankmill resume tonight
    """
    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.pause import resume as resume_job

    with opened_store(store) as opened:
        job_id = find_job(opened, job)
        words = f"job {job_id} was not paused; nothing was changed"
        if resume_job(opened, job_id):
            words = f"job {job_id} is resumed"
            _ring(opened, job_id, broker)
        _report(opened, job_id, words, as_json=json_)


def retry(
    job: options.Job,
    failed: Annotated[
        bool, typer.Option("--failed", help="Try failed pairs and dead shards again; scores stay.")
    ] = False,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Try the failed pairs of a job again.

    A finished job becomes active again until they are done.

    Example: rankmill retry tonight --failed
    """
    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.retry import retry_failed
    from rankmill.producer.command_line.output.wording import counted
    from rankmill.producer.errors import UsageError

    if not failed:
        raise UsageError("Say what to try again: --failed for the failed pairs. Scores stay.")
    with opened_store(store) as opened:
        job_id = find_job(opened, job)
        retried = retry_failed(opened, job_id)
        words = f"job {job_id} has no failed pairs; nothing was changed"
        if retried.num_shards:
            pairs, shards = counted(retried.num_pairs, "pair"), counted(retried.num_shards, "shard")
            words = f"job {job_id} tries {pairs} again, in {shards}"
            _ring(opened, job_id, broker)
        _report(opened, job_id, words, as_json=json_, num_retried_pairs=retried.num_pairs)


def cancel(job: options.Job, store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """Cancel a job for good: scores stay, and the other pairs are not scored.

    Example: rankmill cancel tonight
    """
    from rankmill.db.jobs.cancel import cancel_job
    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.progress import job_progress
    from rankmill.db.records.jobs import JobState

    with opened_store(store) as opened:
        job_id = find_job(opened, job)
        num_cancelled = cancel_job(opened, job_id)
        is_cancelled = job_progress(opened, job_id).state is JobState.CANCELLED
        words = f"job {job_id} is cancelled; {num_cancelled:,} shards were given up"
        words = words if is_cancelled else f"job {job_id} has ended already; nothing was changed"
        _report(opened, job_id, words, as_json=json_, num_cancelled_shards=num_cancelled)


def _report(store: "Store", job_id: int, words: str, *, as_json: bool, **more: int) -> None:
    """Prints what was done, or the job as JSON."""
    from rankmill.db.jobs.progress import job_progress
    from rankmill.producer.command_line.output.json_records import job_facts
    from rankmill.producer.command_line.output.opening import print_json, standard_error

    if as_json:
        print_json(job_facts(job_progress(store, job_id)) | more)
    else:
        standard_error().print(words)


def _ring(store: "Store", job_id: int, broker: str | None) -> None:
    """Tells workers at once, if there is a broker; otherwise a rescue round finds the job."""
    from rankmill.producer.settings import settings_from
    from rankmill.producer.submission.submit import ring_again

    ring_again(store, job_id, settings_from({"broker": broker}).broker)

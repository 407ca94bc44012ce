"""The commands that steer jobs: pause, resume, retry and cancel."""

from typing import TYPE_CHECKING, Annotated

import typer

from rankmill.producer.command_line import options
from rankmill.producer.command_line.output.opening import opened_store

if TYPE_CHECKING:
    from rankmill.db.store.store import Store


def pause(job: options.Job, store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """Hold a job: workers give its shards back after their current batch and take up no more of it.

    Example: rankmill pause tonight
    """
    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.pause import pause as hold

    with opened_store(store) as opened:
        job_id = find_job(opened, job)
        words = f"job {job_id} is paused; rankmill resume {job_id} lets it go on"
        if not hold(opened, job_id):
            words = f"job {job_id} had ended already; nothing was changed"
        _tell(opened, job_id, words, as_json=json_)


def resume(
    job: options.Job,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Let a paused job go on where it was.

    Example: rankmill resume tonight
    """
    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.pause import resume as let_go

    with opened_store(store) as opened:
        job_id = find_job(opened, job)
        words = f"job {job_id} was not paused; nothing was changed"
        if let_go(opened, job_id):
            words = f"job {job_id} goes on"
            _ring(opened, job_id, broker)
        _tell(opened, job_id, words, as_json=json_)


def retry(
    job: options.Job,
    failed: Annotated[
        bool, typer.Option("--failed", help="Try failed pairs and dead shards again, and nothing else.")
    ] = False,
    store: options.StoreUrl = None,
    broker: options.BrokerUrl = None,
    json_: options.Json = False,
) -> None:
    """Try again what a job gave up. A job that was done is active again until that is done, too.

    Example: rankmill retry tonight --failed
    """
    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.retry import retry_failed
    from rankmill.producer.command_line.output.wording import counted
    from rankmill.producer.errors import UsageError

    if not failed:
        raise UsageError("Say what to try again: --failed, the pairs that failed. What is scored stays.")
    with opened_store(store) as opened:
        job_id = find_job(opened, job)
        retried = retry_failed(opened, job_id)
        words = f"job {job_id} has no failed pairs; nothing was changed"
        if retried.num_shards:
            pairs, shards = counted(retried.num_pairs, "pair"), counted(retried.num_shards, "shard")
            words = f"job {job_id} tries {pairs} again, in {shards}"
            _ring(opened, job_id, broker)
        _tell(opened, job_id, words, as_json=json_, num_retried_pairs=retried.num_pairs)


def cancel(job: options.Job, store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """Stop a job for good; what is scored stays, the rest is given up.

    Example: rankmill cancel tonight
    """
    from rankmill.db.jobs.cancel import cancel_job as cancel_shards
    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.progress import job_progress
    from rankmill.db.records.jobs import JobState

    with opened_store(store) as opened:
        job_id = find_job(opened, job)
        num_cancelled = cancel_shards(opened, job_id)
        is_cancelled = job_progress(opened, job_id).state is JobState.CANCELLED
        words = f"job {job_id} is cancelled; {num_cancelled:,} shards were given up"
        words = words if is_cancelled else f"job {job_id} had ended already; nothing was changed"
        _tell(opened, job_id, words, as_json=json_, num_cancelled_shards=num_cancelled)


def _tell(store: "Store", job_id: int, words: str, *, as_json: bool, **more: int) -> None:
    """What was done, in words or as the job's facts."""
    from rankmill.db.jobs.progress import job_progress
    from rankmill.producer.command_line.output.json_records import job_facts
    from rankmill.producer.command_line.output.opening import print_json
    from rankmill.producer.command_line.output.progress import diagnostics

    if as_json:
        print_json(job_facts(job_progress(store, job_id)) | more)
    else:
        diagnostics().print(words)


def _ring(store: "Store", job_id: int, broker: str | None) -> None:
    """Tells workers at once, where a broker is named; without that they find out in a rescue round."""
    from rankmill.producer.settings import settings_from
    from rankmill.producer.submission.submit import ring_again

    ring_again(store, job_id, settings_from({"broker": broker}).broker)

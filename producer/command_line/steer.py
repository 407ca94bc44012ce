"""The commands that steer jobs: pause, resume, retry and cancel."""

from typing import TYPE_CHECKING, Annotated

import typer

from producer.command_line import options
from producer.command_line.follow import opened_store

if TYPE_CHECKING:
    from db.store import Store


def pause(job: options.Job, store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """Hold a job: workers give its shards back after their current batch and take up no more of it.

    Example: rankmill pause tonight
    """
    from db.jobs import find
    from db.pausing import pause as hold

    with opened_store(store) as opened:
        job_id = find(opened, job)
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
    from db.jobs import find
    from db.pausing import resume as let_go

    with opened_store(store) as opened:
        job_id = find(opened, job)
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
    from db.jobs import find
    from db.retrying import retry_failed
    from producer.errors import UsageError
    from producer.screen import counted

    if not failed:
        raise UsageError("Say what to try again: --failed, the pairs that failed. What is scored stays.")
    with opened_store(store) as opened:
        job_id = find(opened, job)
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
    from db.jobs import cancel as cancel_shards
    from db.jobs import find, progress
    from db.records import JobState

    with opened_store(store) as opened:
        job_id = find(opened, job)
        num_cancelled = cancel_shards(opened, job_id)
        is_cancelled = progress(opened, job_id).state is JobState.CANCELLED
        words = f"job {job_id} is cancelled; {num_cancelled:,} shards were given up"
        words = words if is_cancelled else f"job {job_id} had ended already; nothing was changed"
        _tell(opened, job_id, words, as_json=json_, num_cancelled_shards=num_cancelled)


def _tell(store: "Store", job_id: int, words: str, *, as_json: bool, **more: int) -> None:
    """What was done, in words or as the job's facts."""
    from db.jobs import progress
    from producer.command_line.records_as_json import job_facts
    from producer.command_line.summary import print_json
    from producer.screen import diagnostics

    if as_json:
        print_json(job_facts(progress(store, job_id)) | more)
    else:
        diagnostics().print(words)


def _ring(store: "Store", job_id: int, broker: str | None) -> None:
    """Tells workers at once, where a broker is named; without that they find out in a rescue round."""
    from producer.choices import settings_from
    from producer.sending import ring_again

    ring_again(store, job_id, settings_from({"broker": broker}).broker)

"""The commands that show jobs: status, watch and results."""

from typing import Annotated

import typer

from rankmill.producer.command_line import options
from rankmill.producer.command_line.output.opening import opened_store


def status(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="The id or name of a job; all by default.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Show at most this many jobs, newest first.")
    ] = 20,
    store: options.StoreUrl = None,
    json_: options.Json = False,
) -> None:
    """Show the progress of jobs, how much of their texts was read, and which workers are alive.

    For one job, also show where it was published and who was notified.

    Example: rankmill status tonight
    """
    from rich.console import Console

    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.progress import job_progress, list_job_progress, to_try_again
    from rankmill.db.queue.workers import workers
    from rankmill.db.results.truncation import truncation_counts, truncation_of_some
    from rankmill.producer.command_line.output.after_job import (
        follow_up_facts,
        follow_up_lines,
        untried_line,
    )
    from rankmill.producer.command_line.output.json_records import job_facts, truncation_facts, worker_facts
    from rankmill.producer.command_line.output.opening import print_json, standard_error
    from rankmill.producer.command_line.output.tables import jobs_table, workers_table
    from rankmill.producer.command_line.output.truncation import truncation_sentence

    with opened_store(store) as opened:
        if job is None:
            rows = list_job_progress(opened, limit)
            read = truncation_of_some(opened, rows)
        else:
            rows = [job_progress(opened, find_job(opened, job))]
            read = {rows[0].job_id: truncation_counts(opened, rows[0].job_id)}
        untried = [] if job is None else to_try_again(opened, rows[0].job_id)
        ending = [] if job is None else follow_up_lines(opened, rows[0].job_id)
        alive = workers(opened)
        if json_:
            print_json(
                {
                    "store": opened.safe_url,
                    "jobs": [
                        job_facts(row)
                        | truncation_facts(read.get(row.job_id))
                        | ({} if job is None else follow_up_facts(opened, row.job_id))
                        | ({} if job is None else {"to_try_again": [one._asdict() for one in untried]})
                        for row in rows
                    ],
                    "workers": [worker_facts(row) for row in alive],
                }
            )
            return
        console = Console(highlight=False, emoji=False, markup=False)
        standard_error().print(f"store: {opened.safe_url}")
    no_jobs = "no jobs yet: rankmill run or rankmill submit creates one"
    console.print(jobs_table(rows, read) if rows else no_jobs)
    if job is not None and (sentence := truncation_sentence(read[rows[0].job_id])):
        console.print(sentence)
    if len(read) < len(rows):
        console.print("…: too many pairs to count in a list; rankmill status JOB counts them")
    for one in untried:
        console.print(untried_line(one), soft_wrap=True)
    for line in ending:
        console.print(line, soft_wrap=True)
    console.print(workers_table(alive) if alive else "no worker is alive: rankmill worker starts one")
    for worker in alive:
        if worker.telemetry is not None and worker.telemetry.num_batches:
            pace = f"{worker.telemetry.tokens_per_s:,.0f} tokens/s"
            console.print(f"worker {worker.worker_id}: {pace}, {worker.telemetry.words()}", soft_wrap=True)


def watch(job: options.Job, store: options.StoreUrl = None, json_: options.Json = False) -> None:
    """Show a job's progress until it ends; the exit code is 7 if some pairs failed.

    Example: rankmill watch tonight && rankmill results tonight --output ranking.parquet
    """
    from rankmill.db.jobs.find import find_job
    from rankmill.db.records.jobs import JobState
    from rankmill.producer.broker.workers import why_no_worker
    from rankmill.producer.command_line.exit_codes import FAILURE, SOME_FAILED
    from rankmill.producer.command_line.output.after_job import print_follow_up
    from rankmill.producer.command_line.output.json_records import job_facts
    from rankmill.producer.command_line.output.opening import print_json, standard_error
    from rankmill.producer.command_line.output.progress import progress_display
    from rankmill.producer.command_line.output.wording import progress_sentence
    from rankmill.producer.downstream.follow_up import follow_up
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.running.progress import follow_progress
    from rankmill.producer.settings import settings_from

    console = standard_error()
    with Interruption(), opened_store(store) as opened:
        job_id = find_job(opened, job)
        with progress_display(console) as display:
            for snapshot in follow_progress(opened, job_id):
                row = snapshot.progress
                is_active = row.state is JobState.ACTIVE
                display.show(
                    snapshot, why_no_worker(opened, row.scorer.model, job_id=job_id) if is_active else ""
                )
        followed_up = follow_up(opened, settings_from({"store": store}), job_id)
    if json_:
        print_json(job_facts(row) | {"rankings": followed_up.rankings})
    print_follow_up(followed_up)
    if row.state is JobState.CANCELLED:
        console.print(f"job {job_id} was cancelled: {progress_sentence(snapshot)}")
        raise typer.Exit(FAILURE)
    if row.num_failed:
        console.print(f"job {job_id} has {row.num_failed:,} failed pairs; the results say why")
        raise typer.Exit(SOME_FAILED)


def results(
    job: options.Job,
    output: options.Output = "-",
    format_: options.Format = None,
    top_k: options.TopK = None,
    min_score: options.MinScore = None,
    store: options.StoreUrl = None,
) -> None:
    """Write a job's results as JSONL, CSV, Parquet or a TREC run.

    Writes what is scored so far. By default --top-k and --min-score are those of the job.

    Example: rankmill results tonight --output ranking.csv --top-k 10
    """
    from rankmill.db.jobs.find import find_job
    from rankmill.db.jobs.progress import job_progress
    from rankmill.db.records.jobs import JobState
    from rankmill.db.results.ranked import ranked_results as stored
    from rankmill.producer.command_line.output.opening import standard_error
    from rankmill.producer.processes.interruption import Interruption
    from rankmill.producer.results.files import plan_output, write_results
    from rankmill.producer.results.overwrite_guard import check_no_overwrite
    from rankmill.producer.running.progress import num_ended
    from rankmill.producer.settings import settings_from

    planned = plan_output("-" if output is None else output, format_)
    check_no_overwrite(planned, settings_from({"store": store}).store)
    with Interruption(), opened_store(store) as opened:
        row = job_progress(opened, find_job(opened, job))
        written = write_results(
            stored(
                opened,
                row.job_id,
                top_k=row.top_k if top_k is None else top_k,
                min_score=row.min_score if min_score is None else min_score,
            ),
            planned,
        )
    console = standard_error()
    if row.state is JobState.ACTIVE:
        console.print(
            f"job {row.job_id} is still running: {num_ended(row):,} of {row.num_pairs:,} pairs are done"
        )
    if written.num_left_out:
        console.print(f"{written.num_left_out:,} failed pairs are left out: a TREC run cannot hold them")
    if planned.path is not None:
        console.print(f"{written.num_pairs:,} pairs: {planned.path}")

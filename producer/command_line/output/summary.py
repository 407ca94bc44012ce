"""What run and submit print: the recorded job, its progress, and at the end where the results are."""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from rankmill.db.records.jobs import JobProgress, Submission
from rankmill.db.results.ranked import ranked_results
from rankmill.db.results.truncation import TruncationCounts, truncation_counts
from rankmill.db.store.store import Store
from rankmill.producer.command_line.exit_codes import DONE, SOME_FAILED
from rankmill.producer.command_line.output.after_job import print_follow_up
from rankmill.producer.command_line.output.opening import print_json, standard_error
from rankmill.producer.command_line.output.progress import SlowStep, progress_display
from rankmill.producer.command_line.output.tables import print_best_documents
from rankmill.producer.command_line.output.truncation import truncation_sentence
from rankmill.producer.command_line.output.wording import counted, duration, rate
from rankmill.producer.results.files import Output, write_results
from rankmill.producer.running.progress import ProgressSnapshot
from rankmill.producer.running.run import RunObserver, RunOutcome
from rankmill.producer.submission.inputs import JobOptions
from rankmill.producer.submission.record import RecordedJob
from rankmill.producer.submission.submit import SubmittedJob

READING = "reading the inputs"


class RunProgress(RunObserver):
    """Prints a run's job and progress on standard error."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._console = standard_error()
        self._open = ExitStack()
        self._display = progress_display(self._console)
        self._is_showing = False
        self._reading = SlowStep(self._console, READING)

    def recorded(self, submission: RecordedJob, row: JobProgress) -> None:
        self._reading.done()
        self._console.print(f"store: {self._store.safe_url}")
        self._console.print(job_line(submission, row))
        if submission.started_anew:
            self._console.print(submission.started_anew)
        _warn(submission.warnings)

    def progressed(self, snapshot: ProgressSnapshot, note: str) -> None:
        if not self._is_showing:
            self._open.enter_context(self._display)
            self._is_showing = True
        self._display.show(snapshot, note)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.done()
        self._open.close()


def job_line(submission: Submission, row: JobProgress) -> str:
    """A job in one line: its size and whether it is new."""
    title = f"job {submission.job_id}" + (f" ({row.name})" if row.name else "")
    parts = [
        f"{title}: {counted(submission.num_queries, 'query', 'queries')}",
        counted(submission.num_documents, "document"),
        f"{counted(submission.num_pairs, 'pair')} in {counted(submission.num_shards, 'shard')}",
    ]
    if submission.num_reused:
        parts.append(f"{submission.num_reused:,} reused")
    line = ", ".join(parts)
    return line if submission.is_new else f"{line}; recorded before with the same inputs and scorer"


def print_submitted(store: Store, submitted: SubmittedJob, *, as_json: bool) -> None:
    """Prints the recorded job: its id on standard output, the rest on standard error."""
    from rankmill.db.jobs.progress import job_progress

    console, row = standard_error(), job_progress(store, submitted.submission.job_id)
    if as_json:
        print_json(
            {**_facts(submitted.submission, row), "warning": submitted.warning, "store": store.safe_url}
        )
    else:
        console.print(job_line(submitted.submission, row))
        if submitted.submission.started_anew:
            console.print(submitted.submission.started_anew)
        print(submitted.submission.job_id)  # noqa: T201
    if submitted.followed_up is not None:
        print_follow_up(submitted.followed_up)
    _warn((*submitted.submission.warnings, *([submitted.warning] if submitted.warning else [])))


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        standard_error().print(f"warning: {warning}")


def print_outcome(
    store: Store, outcome: RunOutcome, planned: Output | None, job_options: JobOptions, *, as_json: bool
) -> int:
    """Writes or shows the results, prints how the run ended, and returns the exit code."""
    started, row = time.monotonic(), outcome.progress
    top_k = row.top_k if job_options.top_k is None else job_options.top_k
    min_score = row.min_score if job_options.min_score is None else job_options.min_score
    read = truncation_counts(store, row.job_id)
    if planned is not None:
        write_results(ranked_results(store, row.job_id, top_k=top_k, min_score=min_score), planned)
    elif not as_json:
        print_best_documents(store, row.job_id, top=top_k, min_score=min_score)
    duration_s = outcome.duration_s + time.monotonic() - started
    if as_json:
        print_json(
            {
                **_facts(outcome.submission, row),
                **read._asdict(),
                "duration_s": round(duration_s, 3),
                "output": None if planned is None else str(planned.path),
                "store": store.safe_url,
                "rankings": outcome.followed_up.rankings,
            }
        )
    standard_error().print(_summary(outcome, read, planned, duration_s))
    print_follow_up(outcome.followed_up)
    return SOME_FAILED if row.num_failed else DONE


def _summary(outcome: RunOutcome, read: TruncationCounts, planned: Output | None, duration_s: float) -> str:
    row = outcome.progress
    num_now = outcome.num_scored_now
    pace = f" ({rate(num_now / outcome.duration_s)} pairs/s)" if num_now else ""
    parts = [
        f"done: {row.num_pairs:,} pairs",
        f"{row.num_scored:,} scored",
        f"{row.num_reused:,} reused",
        f"{row.num_failed:,} failed",
        f"{duration(duration_s)}{pace}",
    ]
    line = ", ".join(parts)
    if row.num_failed:
        line += "\nthe results give the reason of each failed pair as `error`"
    if read.num_read:
        line += f"\n{truncation_sentence(read)}"
    if planned is not None and planned.path is not None:
        return f"{line}\nresults: {planned.path}"
    return (
        line if planned is not None else f"{line}\nall results: rankmill results {row.job_id} --output FILE"
    )


def _facts(submission: Submission, row: JobProgress) -> dict[str, Any]:
    return {
        "job_id": row.job_id,
        "name": row.name,
        "state": row.state.value,
        "is_new": submission.is_new,
        "num_queries": submission.num_queries,
        "num_documents": submission.num_documents,
        "num_pairs": row.num_pairs,
        "num_reused": row.num_reused,
        "num_scored": row.num_scored,
        "num_failed": row.num_failed,
        "num_shards": row.num_shards,
        "num_tokens": row.num_scored_tokens,
        "started_anew": submission.started_anew if isinstance(submission, RecordedJob) else None,
    }

"""Records as JSON for programs: names as in the records, times in seconds since 1970."""

from dataclasses import asdict
from typing import Any

from rankmill.db.records.jobs import JobProgress
from rankmill.db.records.workers import WorkerRow
from rankmill.db.results.truncation import TruncationCounts
from rankmill.producer.running.progress import average_pace, num_ended


def job_facts(row: JobProgress) -> dict[str, Any]:
    facts = asdict(row) | {"num_ended": num_ended(row), "pairs_per_s": average_pace(row)}
    del facts["now"]
    return facts


def truncation_facts(truncation_counts: TruncationCounts | None) -> dict[str, int | None]:
    """The counts; nulls if they were not counted."""
    return (
        dict.fromkeys(TruncationCounts._fields) if truncation_counts is None else truncation_counts._asdict()
    )


def worker_facts(row: WorkerRow) -> dict[str, Any]:
    facts = asdict(row) | {"telemetry": row.telemetry.facts() if row.telemetry else None}
    del facts["now"], facts["broker_digest"]
    return facts

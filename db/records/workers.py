"""The nouns of workers: who works, and what a rescue round did. A part of db/records/jobs.py."""

from dataclasses import dataclass

from rankmill.db.records.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker process as the store knows it; `problem` is what keeps it from working, if anything, and
    `telemetry` is of its drain at work, or of the last one.
    """

    worker_id: int
    host: str
    pid: int
    model: str
    only_job_id: int | None
    broker_digest: str | None
    device: str | None
    started_at: float
    last_seen_at: float
    stopped_at: float | None
    problem: str | None
    telemetry: Telemetry | None
    now: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued:
    """What a rescue round did: shards returned to ready, those of them cut in half, shards declared dead."""

    num_returned: int
    num_dead: int
    num_cut: int = 0

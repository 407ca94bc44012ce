"""Workers as they cross rooms, and what a rescue round did."""

from dataclasses import dataclass

from rankmill.db.records.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """A worker process in the store. `problem` says what keeps it from working, if anything does;
    `telemetry` is of its current drain, or of the last one.
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
    """What a rescue round did: shards that are ready again, those of them split in half, and dead shards."""

    num_returned: int
    num_dead: int
    num_cut: int = 0

"""How work with one scorer ended, what a whole drain did, and the one line that says it to people."""

from dataclasses import dataclass, field
from enum import Enum

from rankmill.db.records.telemetry import Telemetry


class Outcome(Enum):
    """Why a drain ended its work with one scorer."""

    OVER = "the time slice is over, or a stop was asked"
    IDLE = "everything that was ready has been claimed"
    OUTRANKED = "another scorer has more urgent shards"
    RECALLED = "what was in hand had to be given back"
    SUSPECT_SCORED = "a suspect was scored, and nothing else was claimed meanwhile"
    NOTHING_CLAIMED = "not one shard could be claimed"
    UNAVAILABLE = "the scorer cannot be loaded for now"
    BROKEN = "the engine fails shard after shard"

    @property
    def is_fruitless(self) -> bool:
        """Whether this drain should not try the scorer again."""
        return self in (Outcome.NOTHING_CLAIMED, Outcome.UNAVAILABLE, Outcome.BROKEN)


@dataclass(slots=True)
class DrainReport:
    """Counts of one drain.

    `num_lost` shards had been taken over by another worker when their scores came; `num_left` were still
    ready when the slice ended or a stop was asked. `telemetry` leaves out loading the model. `problem` is
    what kept this drain from going on.
    """

    job_ids: set[int] = field(default_factory=set)
    num_shards: int = 0
    num_pairs: int = 0
    num_failed_pairs: int = 0
    num_tokens: int = 0
    num_failed_shards: int = 0
    num_lost: int = 0
    num_released: int = 0
    telemetry: Telemetry = field(default_factory=Telemetry)
    problem: str | None = None
    num_left: int = 0

    def line(self) -> str:
        """For example `job 7: 3 shards, 1,640 pairs, 812,344 tokens, 81,234 tokens/s, 199 batches, …`."""
        parts = []
        if self.num_shards:
            parts += [
                _count(self.num_shards, "shard"),
                _count(self.num_pairs, "pair"),
                _count(self.num_tokens, "token"),
                f"{self.num_tokens / max(self.telemetry.seconds, 1e-3):,.0f} tokens/s",
            ]
        if self.telemetry.num_batches:
            parts.append(self.telemetry.words())
        if self.num_failed_pairs:
            parts.append(f"{_count(self.num_failed_pairs, 'pair')} failed")
        for num, word in (
            (self.num_failed_shards, "failed"),
            (self.num_lost, "lost to others"),
            (self.num_released, "released"),
        ):
            if num:
                parts.append(f"{_count(num, 'shard')} {word}")
        if self.problem:
            parts.append(f"stopped by a problem: {self.problem}")
        said = ", ".join(parts) or "nothing was ready"
        return f"{_jobs(self.job_ids)}: {said}" if self.job_ids else said


def _count(num: int, noun: str) -> str:
    return f"{num:,} {noun}" if num == 1 else f"{num:,} {noun}s"


def _jobs(job_ids: set[int], max_named: int = 5) -> str:
    named = ", ".join(str(job_id) for job_id in sorted(job_ids)[:max_named])
    more = f" and {len(job_ids) - max_named} more" if len(job_ids) > max_named else ""
    return f"job {named}" if len(job_ids) == 1 else f"jobs {named}{more}"

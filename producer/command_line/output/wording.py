"""Durations, times, numbers and rates as text for people."""

import time

from rankmill.producer.running.progress import ProgressSnapshot, num_ended


def duration(seconds: float) -> str:
    """Seconds as text: 0.4 s, 12 s, 3 min 5 s, 2 h 4 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def local_time(seconds: float) -> str:
    """Seconds since the epoch as the local time of this machine: 2026-03-01 02:00."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 shard, 2 shards."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def rate(per_s: float | None) -> str:
    """A rate: whole from 10 on, else with two digits."""
    if per_s is None:
        return "–"
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.2g}"


def progress_sentence(snapshot: ProgressSnapshot, note: str = "") -> str:
    """A job's progress in one line."""
    row = snapshot.progress
    share = num_ended(row) / row.num_pairs if row.num_pairs else 1.0
    parts = [f"{num_ended(row):,} of {row.num_pairs:,} pairs ({share:.0%})"]
    if snapshot.pairs_per_s is not None:
        parts.append(f"{rate(snapshot.pairs_per_s)} pairs/s, {rate(snapshot.tokens_per_s)} tokens/s")
    if row.paused_at is not None:
        parts.append(f"paused until rankmill resume {row.job_id}")
    elif snapshot.left_s is not None and num_ended(row) < row.num_pairs:
        parts.append(f"{duration(snapshot.left_s)} left")
    if row.num_reused:
        parts.append(f"{row.num_reused:,} reused")
    if row.num_failed:
        parts.append(f"{row.num_failed:,} failed")
    if note:
        parts.append(note)
    return ", ".join(parts)

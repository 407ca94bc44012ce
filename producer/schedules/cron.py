"""When a cron expression in a time zone is due. Pure functions; know no store.

Hours that clocks skip or repeat are treated as Debian's cron does. An expression that names its hour fires
once then: at the next moment that exists, or at the first of two. One that fires every hour goes on doing so.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from rankmill.producer.errors import UsageError


def check_schedule(cron: str, zone: str) -> None:
    """Raises UsageError unless `cron` has five fields and fires at some time, and `zone` is a time zone."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"There is no time zone {zone!r}. Use a name such as UTC, Europe/Berlin or America/New_York."
        ) from None
    try:
        if len(cron.split()) != 5:
            raise CronSimError("an expression has five fields")
        next(CronSim(cron, datetime.now(UTC)))
    except (CronSimError, StopIteration) as cause:
        reason = str(cause).lower() or "it never fires"
        raise UsageError(
            f"--cron {cron!r} cannot be read: {reason}. The fields are minute, hour, day of month, month and "
            'day of week, as in "0 2 * * *" for two in the morning.'
        ) from None


def next_fire(cron: str, zone: str, after: float) -> int:
    """The first moment after `after`, both in seconds since the epoch."""
    return next(fires(cron, zone, after))


def last_fire(cron: str, zone: str, first: int, until: float) -> int:
    """The last moment up to `until`, where `first` is one."""
    last = first
    for moment in fires(cron, zone, first):
        if moment > until:
            break
        last = moment
    return last


def fires(cron: str, zone: str, after: float) -> Iterator[int]:
    """The moments after `after`, in order."""
    moments = CronSim(cron, datetime.fromtimestamp(after, ZoneInfo(zone)))
    for moment in moments:
        # In a repeated hour CronSim starts again from the first of the two, and gives moments before `after`.
        if (seconds := int(moment.timestamp())) > after:
            yield seconds


def wall_clock(seconds: float, zone: str) -> str:
    """A moment in the time of the zone: 2026-03-29 02:00."""
    return datetime.fromtimestamp(seconds, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")

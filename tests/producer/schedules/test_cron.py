"""When a cron expression fires: time zones, and the hours that clocks skip and repeat."""

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from rankmill.producer.errors import UsageError
from rankmill.producer.schedules.cron import check_schedule, fires, last_fire, next_fire, wall_clock

BERLIN = "Europe/Berlin"


def at(*parts: int, zone: str = BERLIN, fold: int = 0) -> float:
    year, month, day, hour, minute = parts
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def shown(cron: str, after: float, count: int, zone: str = BERLIN) -> list[str]:
    moments = islice(fires(cron, zone, after), count)
    return [datetime.fromtimestamp(moment, ZoneInfo(zone)).isoformat() for moment in moments]


def test_a_time_that_the_clocks_skip_fires_once_at_the_next_that_exists() -> None:
    assert shown("30 2 * * *", at(2026, 3, 28, 12, 0), 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_a_time_that_the_clocks_repeat_fires_the_first_time_only() -> None:
    assert shown("30 2 * * *", at(2026, 10, 24, 12, 0), 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


@pytest.mark.parametrize("fold", [0, 1])
def test_whoever_asks_within_the_repeated_hour_hears_of_a_later_moment(fold: int) -> None:
    now = at(2026, 10, 25, 2, 45 - 30 * fold, fold=fold)
    assert next_fire("30 2 * * *", BERLIN, now) == at(2026, 10, 26, 2, 30)


def test_every_hour_is_every_hour_that_passes() -> None:
    assert shown("0 * * * *", at(2026, 10, 25, 1, 30), 3) == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


def test_the_same_expression_in_two_zones_is_two_moments() -> None:
    noon = at(2026, 7, 1, 12, 0, zone="UTC")
    assert next_fire("0 2 * * *", "UTC", noon) - next_fire("0 2 * * *", "Asia/Tokyo", noon) == 9 * 3600
    assert wall_clock(next_fire("0 2 * * *", "Asia/Tokyo", noon), "Asia/Tokyo") == "2026-07-02 02:00"


def test_of_several_missed_nights_the_last_is_found() -> None:
    first = int(at(2026, 3, 25, 2, 30))
    assert last_fire("30 2 * * *", BERLIN, first, at(2026, 3, 29, 12, 0)) == at(2026, 3, 29, 3, 0)
    assert last_fire("30 2 * * *", BERLIN, first, at(2026, 3, 25, 2, 31)) == first
    assert last_fire("30 2 * * *", BERLIN, first, at(2026, 3, 26, 2, 30)) == at(2026, 3, 26, 2, 30)


@pytest.mark.parametrize("cron", ["", "0 2 * *", "0 0 2 * * *", "61 2 * * *", "0 2 31 2 *", "every night"])
def test_an_expression_that_never_fires_or_cannot_be_read_is_refused(cron: str) -> None:
    with pytest.raises(UsageError, match="minute, hour, day of month"):
        check_schedule(cron, "UTC")


@pytest.mark.parametrize("zone", ["", "Berlin", "../etc/passwd", "/etc/localtime", "Europe/\0"])
def test_what_is_no_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(UsageError, match="There is no time zone"):
        check_schedule("0 2 * * *", zone)

"""Nights: the firings of schedules, each recorded once, and what became of them. Knows no calendar.

A night is due until its job is recorded, or it is skipped or given up. Every step is one short transaction
and may be done again: two beats at the same moment, or one that was killed in between, make one job.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, case, exists, func, select, update

from rankmill.db.records.jobs import JobState
from rankmill.db.schedules.catalog import Overlap, Schedule, schedule_of, whole
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.schedules import nights, schedules
from rankmill.db.store.bulk import upsert
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import storable
from rankmill.db.store.store import Store

OVERDUE_S = 300.0
"""A schedule that was due for so long shows that nobody asks."""


class RunState(StrEnum):
    DUE = "due"
    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRun:
    """A firing of a schedule. `reason` says why it waits, was skipped or failed."""

    night_id: int
    schedule_id: int
    fire_at: int
    night: str
    by_hand: bool
    state: RunState
    job_id: int | None
    reason: str | None
    num_tries: int


def fire(
    store: Store,
    schedule_id: int,
    *,
    was_next_at: int,
    next_at: int,
    fire_at: int,
    night: str,
    skip: str = "",
) -> bool:
    """Records the night and moves the schedule on to `next_at`; False when another beat has done so.

    With `skip`, its reason, the night is recorded as skipped.
    """

    def record(connection: Connection) -> bool:
        mine = (schedules.c.id == schedule_id) & (schedules.c.next_at == was_next_at)
        moved = update(schedules).where(mine, schedules.c.paused_at.is_(None)).values(next_at=next_at)
        if not connection.execute(moved).rowcount:
            return False
        return insert_run(connection, schedule_id, fire_at, night, skip=skip)

    return store.write(record)


def fire_by_hand(store: Store, schedule_id: int, fire_at: int, night: str) -> None:
    """Records a night out of turn; one that fires in this very second is the same."""
    store.write(lambda connection: insert_run(connection, schedule_id, fire_at, night, by_hand=True))


def insert_run(
    connection: Connection,
    schedule_id: int,
    fire_at: int,
    night: str,
    *,
    by_hand: bool = False,
    skip: str = "",
) -> bool:
    row = upsert(connection, nights).values(
        schedule_id=schedule_id,
        fire_at=fire_at,
        night=night,
        by_hand=by_hand,
        state=RunState.SKIPPED if skip else RunState.DUE,
        reason=skip or None,
        created_at=now_s(),
        settled_at=now_s() if skip else None,
    )
    return connection.execute(row.on_conflict_do_nothing()).rowcount > 0


def choose(store: Store, schedule_id: int) -> ScheduleRun | None:
    """The night of this schedule that is to be submitted now, if any.

    Of several that are due the newest stands for all. One that finds the job of an earlier night at work
    waits or is skipped, as the schedule says.
    """

    def look(connection: Connection) -> ScheduleRun | None:
        overlap = connection.scalar(
            select(schedules.c.overlap)
            .where(schedules.c.id == schedule_id, schedules.c.paused_at.is_(None))
            .with_for_update()
        )
        is_due = (nights.c.schedule_id == schedule_id) & (nights.c.state == RunState.DUE)
        found = connection.execute(select(nights).where(is_due).order_by(nights.c.fire_at.desc())).all()
        due = [run_of(row) for row in found if not is_recorded(connection, row)]
        if overlap is None or not due:
            return None
        newest = due[0]
        for older in due[1:]:
            overtaken = f"the night of {newest.night} came before it had a job"
            settle(connection, older.night_id, RunState.SKIPPED, overtaken)
        busy = at_work(connection, schedule_id)
        if busy is None:
            return newest
        if overlap == Overlap.SKIP:
            still = f"job {busy} of an earlier night was still at work"
            settle(connection, newest.night_id, RunState.SKIPPED, still)
        elif newest.reason != (waits := f"waits for job {busy} of an earlier night"):
            connection.execute(update(nights).where(nights.c.id == newest.night_id).values(reason=waits))
        return None

    return store.write(look)


def is_recorded(connection: Connection, row: Row[Any]) -> bool:
    """Whether the night has its job after all, from a beat that was killed before it noted that; notes it."""
    is_its = (jobs.c.key == key_of(row.schedule_id, row.fire_at)) & (jobs.c.state != JobState.CANCELLED)
    job_id = connection.scalar(select(jobs.c.id).where(is_its))
    if job_id is not None:
        connection.execute(update(nights).where(nights.c.id == row.id).values(with_job(job_id)))
    return job_id is not None


def key_of(schedule_id: int, fire_at: int) -> str:
    """The key of a night's job: whoever submits this night, however often, makes one job."""
    return hashlib.sha256(f"night {schedule_id} {fire_at}".encode()).hexdigest()


def with_job(job_id: int) -> dict[str, Any]:
    return {"state": RunState.SUBMITTED, "job_id": job_id, "reason": None, "settled_at": now_s()}


def at_work(connection: Connection, schedule_id: int) -> int | None:
    """The id of a job of an earlier night that has not ended."""
    active = (
        select(jobs.c.id)
        .join(nights, nights.c.job_id == jobs.c.id)
        .where(nights.c.schedule_id == schedule_id, jobs.c.state == JobState.ACTIVE)
    )
    return connection.scalar(active.order_by(jobs.c.id).limit(1))


def submitted(store: Store, night_id: int, job_id: int) -> None:
    """Notes the night's job. Also of a night that a newer one overtook meanwhile: the job is there."""
    is_open = nights.c.state.in_([RunState.DUE, RunState.SKIPPED])
    noted = update(nights).where(nights.c.id == night_id, is_open).values(with_job(job_id))
    store.write(lambda connection: connection.execute(noted))


def not_submitted(store: Store, night_id: int, reason: str, *, max_tries: int | None) -> None:
    """Notes why the night could not be submitted. It stays due, but fails with its last try.

    `max_tries` is None where nothing but waiting can help.
    """
    num_tries = nights.c.num_tries + (0 if max_tries is None else 1)
    is_last = num_tries >= max_tries if max_tries is not None else None
    values: dict[str, Any] = {"reason": storable(reason), "num_tries": num_tries}
    if is_last is not None:
        values["state"] = case((is_last, RunState.FAILED), else_=RunState.DUE)
        values["settled_at"] = case((is_last, now_s()), else_=None)
    is_due = (nights.c.id == night_id) & (nights.c.state == RunState.DUE)
    store.write(lambda connection: connection.execute(update(nights).where(is_due).values(values)))


def settle(connection: Connection, night_id: int, state: RunState, reason: str) -> None:
    values = {"state": state, "reason": reason, "settled_at": now_s()}
    connection.execute(
        update(nights).where(nights.c.id == night_id, nights.c.state == RunState.DUE).values(values)
    )


def waiting(store: Store) -> list[Schedule]:
    """The schedules that have a night to submit."""
    has_night = exists().where(nights.c.schedule_id == schedules.c.id, nights.c.state == RunState.DUE)
    waiting = whole().where(has_night, schedules.c.paused_at.is_(None)).order_by(schedules.c.id)
    with store.reading() as connection:
        return [schedule_of(row) for row in connection.execute(waiting)]


def list_runs(store: Store, schedule_id: int, limit: int = 10) -> list[ScheduleRun]:
    """The last nights of a schedule, newest first."""
    last = select(nights).where(nights.c.schedule_id == schedule_id).order_by(nights.c.fire_at.desc())
    with store.reading() as connection:
        return [run_of(row) for row in connection.execute(last.limit(limit))]


def num_overdue(store: Store, since_s: float) -> int:
    """How many schedules should have fired so many seconds ago and have not: nobody asks."""
    is_late = (schedules.c.next_at < now_s() - since_s) & schedules.c.paused_at.is_(None)
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(schedules).where(is_late)) or 0


def run_of(row: Row[Any]) -> ScheduleRun:
    return ScheduleRun(
        night_id=row.id,
        schedule_id=row.schedule_id,
        fire_at=row.fire_at,
        night=row.night,
        by_hand=row.by_hand,
        state=RunState(row.state),
        job_id=row.job_id,
        reason=row.reason,
        num_tries=row.num_tries,
    )

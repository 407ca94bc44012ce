"""Schedule runs: the firings of schedules, each recorded once, and what became of them. Knows no calendar.

A run is due until its job is recorded, or until it is skipped or has failed. Every step is one short
transaction and may be repeated: two beats at the same moment, or one killed in between, make one job.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, case, exists, func, select, update

from rankmill.db.records.jobs import JobState
from rankmill.db.schedules.catalog import Overlap, Schedule, schedule_of, schedule_rows
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.schedules import schedule_runs, schedules
from rankmill.db.store.bulk import upsert
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import storable
from rankmill.db.store.store import Store

OVERDUE_S = 300.0
"""A schedule that has been due for longer than this shows that no beat runs."""


class RunState(StrEnum):
    DUE = "due"
    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRun:
    """One run of a schedule. `night` is its moment for people, in the schedule's time zone; `reason` says why
    it waits, was skipped or failed.
    """

    run_id: int
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
    """Records a run and moves the schedule on to `next_at`; False when another beat has done so.

    `skip` is the reason to record the run as skipped, if it is to be.
    """

    def record(connection: Connection) -> bool:
        mine = (schedules.c.id == schedule_id) & (schedules.c.next_at == was_next_at)
        moved = update(schedules).where(mine, schedules.c.paused_at.is_(None)).values(next_at=next_at)
        if not connection.execute(moved).rowcount:
            return False
        return insert_run(connection, schedule_id, fire_at, night, skip=skip)

    return store.write(record)


def fire_by_hand(store: Store, schedule_id: int, fire_at: int, night: str) -> None:
    """Records a run out of turn, unless the schedule has one of the same second."""
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
    row = upsert(connection, schedule_runs).values(
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


def next_run(store: Store, schedule_id: int) -> ScheduleRun | None:
    """The run of this schedule to submit now, if there is one.

    Of several that are due only the newest is submitted, the others are skipped. While the job of an earlier
    run is active, it waits or is skipped, as the schedule says.
    """

    def look(connection: Connection) -> ScheduleRun | None:
        overlap = connection.scalar(
            select(schedules.c.overlap)
            .where(schedules.c.id == schedule_id, schedules.c.paused_at.is_(None))
            .with_for_update()
        )
        is_due = (schedule_runs.c.schedule_id == schedule_id) & (schedule_runs.c.state == RunState.DUE)
        newest_first = select(schedule_runs).where(is_due).order_by(schedule_runs.c.fire_at.desc())
        found = connection.execute(newest_first).all()
        due = [run_of(row) for row in found if not note_lost_job(connection, row)]
        if overlap is None or not due:
            return None
        newest = due[0]
        for older in due[1:]:
            skip_run(connection, older.run_id, f"the night of {newest.night} came before it had a job")
        active = active_job(connection, schedule_id)
        if active is None:
            return newest
        if overlap == Overlap.SKIP:
            skip_run(connection, newest.run_id, f"job {active} of an earlier night was still at work")
        elif newest.reason != (waits := f"waits for job {active} of an earlier night"):
            is_newest = schedule_runs.c.id == newest.run_id
            connection.execute(update(schedule_runs).where(is_newest).values(reason=waits))
        return None

    return store.write(look)


def note_lost_job(connection: Connection, row: Row[Any]) -> bool:
    """Whether the run has its job after all, from a beat that was killed before it noted that; notes it."""
    is_its = (jobs.c.key == key_of(row.schedule_id, row.fire_at)) & (jobs.c.state != JobState.CANCELLED)
    job_id = connection.scalar(select(jobs.c.id).where(is_its))
    if job_id is not None:
        is_run = schedule_runs.c.id == row.id
        connection.execute(update(schedule_runs).where(is_run).values(with_job(job_id)))
    return job_id is not None


def key_of(schedule_id: int, fire_at: int) -> str:
    """The key of a run's job: whoever submits this run, however often, makes one job."""
    return hashlib.sha256(f"night {schedule_id} {fire_at}".encode()).hexdigest()


def with_job(job_id: int) -> dict[str, Any]:
    return {"state": RunState.SUBMITTED, "job_id": job_id, "reason": None, "settled_at": now_s()}


def active_job(connection: Connection, schedule_id: int) -> int | None:
    """The id of a job of an earlier run that has not ended."""
    active = (
        select(jobs.c.id)
        .join(schedule_runs, schedule_runs.c.job_id == jobs.c.id)
        .where(schedule_runs.c.schedule_id == schedule_id, jobs.c.state == JobState.ACTIVE)
    )
    return connection.scalar(active.order_by(jobs.c.id).limit(1))


def note_submitted(store: Store, run_id: int, job_id: int) -> None:
    """Notes the run's job. A run that was skipped meanwhile for a newer one has its job, too."""
    is_open = schedule_runs.c.state.in_([RunState.DUE, RunState.SKIPPED])
    noted = update(schedule_runs).where(schedule_runs.c.id == run_id, is_open).values(with_job(job_id))
    store.write(lambda connection: connection.execute(noted))


def note_not_submitted(store: Store, run_id: int, reason: str, *, max_tries: int | None) -> None:
    """Notes why the run could not be submitted. It stays due; after `max_tries` it fails.

    `max_tries` is None where only waiting helps: such a try does not count.
    """
    num_tries = schedule_runs.c.num_tries + (0 if max_tries is None else 1)
    is_last = num_tries >= max_tries if max_tries is not None else None
    values: dict[str, Any] = {"reason": storable(reason), "num_tries": num_tries}
    if is_last is not None:
        values["state"] = case((is_last, RunState.FAILED), else_=RunState.DUE)
        values["settled_at"] = case((is_last, now_s()), else_=None)
    is_due = (schedule_runs.c.id == run_id) & (schedule_runs.c.state == RunState.DUE)
    store.write(lambda connection: connection.execute(update(schedule_runs).where(is_due).values(values)))


def skip_run(connection: Connection, run_id: int, reason: str) -> None:
    is_due = (schedule_runs.c.id == run_id) & (schedule_runs.c.state == RunState.DUE)
    values = {"state": RunState.SKIPPED, "reason": reason, "settled_at": now_s()}
    connection.execute(update(schedule_runs).where(is_due).values(values))


def schedules_with_due_runs(store: Store) -> list[Schedule]:
    """The schedules that have a run to submit."""
    is_due = (schedule_runs.c.schedule_id == schedules.c.id) & (schedule_runs.c.state == RunState.DUE)
    waiting = (
        schedule_rows()
        .where(exists().where(is_due), schedules.c.paused_at.is_(None))
        .order_by(schedules.c.id)
    )
    with store.reading() as connection:
        return [schedule_of(row) for row in connection.execute(waiting)]


def list_runs(store: Store, schedule_id: int, limit: int = 10) -> list[ScheduleRun]:
    """The last runs of a schedule, newest first."""
    of_schedule = select(schedule_runs).where(schedule_runs.c.schedule_id == schedule_id)
    with store.reading() as connection:
        last = connection.execute(of_schedule.order_by(schedule_runs.c.fire_at.desc()).limit(limit))
        return [run_of(row) for row in last]


def num_overdue(store: Store, since_s: float) -> int:
    """How many schedules should have fired more than `since_s` seconds ago and have not."""
    is_late = (schedules.c.next_at < now_s() - since_s) & schedules.c.paused_at.is_(None)
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(schedules).where(is_late)) or 0


def run_of(row: Row[Any]) -> ScheduleRun:
    return ScheduleRun(
        run_id=row.id,
        schedule_id=row.schedule_id,
        fire_at=row.fire_at,
        night=row.night,
        by_hand=row.by_hand,
        state=RunState(row.state),
        job_id=row.job_id,
        reason=row.reason,
        num_tries=row.num_tries,
    )

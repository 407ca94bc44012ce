"""Schedules: when a ranking is made, and from what. Knows no calendar and submits nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from rankmill.db.corpus.collections import COLLECTIONS, QUERY_SETS, lock_named_set
from rankmill.db.errors import ScheduleExists, UnknownName
from rankmill.db.records.jobs import Priority
from rankmill.db.records.rankings import DEFAULT_KEEP, NotificationRequest, Publishing, PublishPolicy
from rankmill.db.schema.collections import collections, query_sets
from rankmill.db.schema.schedules import schedules
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import is_storable
from rankmill.db.store.store import Store


class CatchUp(StrEnum):
    """What becomes of missed runs: the last of them is made up for, or they are skipped."""

    ONCE = "once"
    SKIP = "skip"


class Overlap(StrEnum):
    """What becomes of a run while the job of an earlier one is still active."""

    WAIT = "wait"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRequest:
    """A schedule as asked for. `candidates` is a run file, read anew for each run; None means all pairs.

    `scorer` has the settings that decide a score, by name.
    """

    name: str
    cron: str
    zone: str
    collection: str
    query_set: str
    candidates: str | None
    scorer: Mapping[str, Any]
    catch_up: CatchUp = CatchUp.ONCE
    overlap: Overlap = Overlap.WAIT
    priority: Priority = Priority.NORMAL
    top_k: int | None = None
    min_score: float | None = None
    publishing: Publishing
    notification: NotificationRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule in the store. It fires next at `next_at`, in seconds since the epoch."""

    schedule_id: int
    asked: ScheduleRequest
    next_at: int
    paused_at: float | None


def add(store: Store, asked: ScheduleRequest, next_at: int) -> int:
    """Records the schedule, which fires first at `next_at`. Raises UnknownName, ScheduleExists."""

    def record(connection: Connection) -> int:
        if connection.scalar(select(schedules.c.id).where(schedules.c.name == asked.name)) is not None:
            raise ScheduleExists(asked.name)
        collection_id, _ = lock_named_set(connection, COLLECTIONS, asked.collection)
        query_set_id, _ = lock_named_set(connection, QUERY_SETS, asked.query_set)
        row = insert(schedules).values(
            name=asked.name,
            cron=asked.cron,
            zone=asked.zone,
            catch_up=asked.catch_up,
            overlap=asked.overlap,
            collection_id=collection_id,
            query_set_id=query_set_id,
            candidates=asked.candidates,
            scorer=json.dumps(dict(asked.scorer)),
            priority=asked.priority,
            top_k=asked.top_k,
            min_score=asked.min_score,
            publish_policy=asked.publishing.policy,
            keep=asked.publishing.keep or DEFAULT_KEEP,
            webhook=asked.notification.webhook if asked.notification else None,
            then_task=asked.notification.then if asked.notification else None,
            next_at=next_at,
            created_at=now_s(),
        )
        made: int = connection.execute(row.returning(schedules.c.id)).scalar_one()
        return made

    return store.write(record)


def find(store: Store, name: str) -> Schedule:
    """The schedule of this name. Raises UnknownName."""
    with store.reading() as connection:
        row = connection.execute(schedule_rows().where(schedules.c.name == storable_name(name))).one_or_none()
    if row is None:
        raise UnknownName("schedule", name)
    return schedule_of(row)


def list_schedules(store: Store) -> list[Schedule]:
    """All schedules, by name."""
    with store.reading() as connection:
        return [schedule_of(row) for row in connection.execute(schedule_rows().order_by(schedules.c.name))]


def due(store: Store, now: float) -> list[Schedule]:
    """The schedules that should have fired by `now`."""
    is_due = (schedules.c.next_at <= now) & schedules.c.paused_at.is_(None)
    with store.reading() as connection:
        return [schedule_of(row) for row in connection.execute(schedule_rows().where(is_due))]


def next_due(store: Store) -> int | None:
    """When the next schedule fires; None without any."""
    with store.reading() as connection:
        first = select(schedules.c.next_at).where(schedules.c.paused_at.is_(None))
        return connection.scalar(first.order_by(schedules.c.next_at).limit(1))


def remove(store: Store, name: str) -> None:
    """Removes the schedule and its runs; their jobs stay. Raises UnknownName."""
    deleted = delete(schedules).where(schedules.c.name == storable_name(name))
    if not store.write(lambda connection: connection.execute(deleted).rowcount):
        raise UnknownName("schedule", name)


def pause(store: Store, name: str) -> None:
    """Pauses the schedule: it does not fire, and runs that are due wait. Raises UnknownName."""
    paused = update(schedules).where(schedules.c.name == storable_name(name), schedules.c.paused_at.is_(None))
    store.write(lambda connection: connection.execute(paused.values(paused_at=now_s())).rowcount)
    find(store, name)


def resume(store: Store, name: str, next_at: int) -> None:
    """Resumes a paused schedule, which fires next at `next_at`. What it missed is not made up for."""
    is_paused = (schedules.c.name == storable_name(name)) & schedules.c.paused_at.is_not(None)
    resumed = update(schedules).where(is_paused).values(paused_at=None, next_at=next_at)
    store.write(lambda connection: connection.execute(resumed).rowcount)


def schedule_rows() -> Select[Any]:
    return select(
        schedules, collections.c.name.label("collection"), query_sets.c.name.label("query_set")
    ).select_from(
        schedules.join(collections, collections.c.id == schedules.c.collection_id).join(
            query_sets, query_sets.c.id == schedules.c.query_set_id
        )
    )


def schedule_of(row: Row[Any]) -> Schedule:
    return Schedule(
        schedule_id=row.id,
        asked=ScheduleRequest(
            name=row.name,
            cron=row.cron,
            zone=row.zone,
            collection=row.collection,
            query_set=row.query_set,
            candidates=row.candidates,
            scorer=json.loads(row.scorer),
            catch_up=CatchUp(row.catch_up),
            overlap=Overlap(row.overlap),
            priority=Priority(row.priority),
            top_k=row.top_k,
            min_score=row.min_score,
            publishing=Publishing(ranking=row.name, policy=PublishPolicy(row.publish_policy), keep=row.keep),
            notification=NotificationRequest(webhook=row.webhook, then=row.then_task)
            if row.webhook or row.then_task
            else None,
        ),
        next_at=row.next_at,
        paused_at=row.paused_at,
    )


def storable_name(name: str) -> str:
    return name if is_storable(name) else ""

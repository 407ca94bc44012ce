"""Worker processes in the store: who runs, on what, and what keeps one from working."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from rankmill.db.queue.claims import RELEASED
from rankmill.db.records.telemetry import Telemetry, from_json, to_json
from rankmill.db.records.workers import WorkerRow
from rankmill.db.runtime.process_identity import ProcessIdentity, parent_process, this_process
from rankmill.db.schema.conditions import IS_CLAIMED
from rankmill.db.schema.shards import shards
from rankmill.db.schema.shards import workers as table
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import storable
from rankmill.db.store.store import Store

ALIVE_S = 90
"""A worker that has not been heard of for longer than this is not shown as alive."""


def register(
    store: Store, model: str, *, only_job_id: int | None = None, broker_digest: str | None = None
) -> int:
    """Records the calling process as a worker of `model`, or of one of its jobs only; returns its id.

    `broker_digest` says which broker it listens to (db/runtime/broker_urls.py); None when that is unknown.
    """
    me, parent = this_process(), parent_process()
    row = insert(table).values(
        host=me.machine.split("/")[0],
        machine=me.machine,
        pid=me.pid,
        process_started=me.started,
        parent_pid=parent.pid,
        parent_started=parent.started,
        model=model,
        only_job_id=only_job_id,
        broker_digest=broker_digest,
        started_at=now_s(),
        last_seen_at=now_s(),
    )

    def note(connection: Connection) -> int:
        worker_id: int = connection.execute(row.returning(table.c.id)).scalar_one()
        return worker_id

    return store.write(note)


def describe(store: Store, worker_id: int, device: str) -> None:
    """Notes what the worker computes on, in words for people."""
    change(store, worker_id, device=storable(device))


def report_problem(store: Store, worker_id: int, problem: str | None) -> None:
    """Notes what keeps the worker from working; None when nothing does."""
    change(store, worker_id, problem=None if problem is None else storable(problem))


def note_landing(store: Store, worker_id: int) -> None:
    """Notes that this worker has stored scores."""
    change(store, worker_id, landed_at=now_s())


def note_telemetry(store: Store, worker_id: int, telemetry: Telemetry) -> None:
    """Notes what the worker's drain computed and waited for."""
    change(store, worker_id, telemetry=to_json(telemetry))


def has_landed(store: Store, process: ProcessIdentity) -> bool:
    """Whether that process has ever stored scores."""
    landed = select(table.c.id).where(
        table.c.machine == process.machine,
        table.c.pid == process.pid,
        table.c.process_started == process.started,
        table.c.landed_at.is_not(None),
    )
    with store.reading() as connection:
        return connection.execute(landed).first() is not None


def change(store: Store, worker_id: int, **values: Any) -> None:
    statement = update(table).where(table.c.id == worker_id).values(last_seen_at=now_s(), **values)

    def note(connection: Connection) -> None:
        connection.execute(statement)

    store.write(note)


def farewell(store: Store, worker_id: int) -> int:
    """Notes that the worker stops and releases what it still claims. Returns how many shards those were."""

    def leave(connection: Connection) -> int:
        released = connection.execute(
            update(shards).where(shards.c.claimant == worker_id, IS_CLAIMED).values(RELEASED)
        )
        connection.execute(
            update(table)
            .where(table.c.id == worker_id, table.c.stopped_at.is_(None))
            .values(stopped_at=now_s(), last_seen_at=now_s())
        )
        return released.rowcount

    return store.write(leave)


def sign_off(store: Store, worker_id: int) -> None:
    """Notes that the worker stops, and touches no shard: what it still claims is given back unharmed when the
    lease ends. For a worker that cannot say farewell because the store refuses or locks shards.
    """
    signed = update(table).where(table.c.id == worker_id, table.c.stopped_at.is_(None))
    store.write(lambda connection: connection.execute(signed.values(stopped_at=now_s())))


def workers(store: Store, *, only_alive: bool = True) -> list[WorkerRow]:
    """Workers, newest first; with `only_alive` those that have not stopped and were heard of recently."""
    statement = select(table, now_s().label("now")).order_by(table.c.id.desc())
    if only_alive:
        statement = statement.where(table.c.stopped_at.is_(None), table.c.last_seen_at > now_s() - ALIVE_S)
    with store.reading() as connection:
        found = connection.execute(statement).all()
    return [
        WorkerRow(
            worker_id=row.id,
            host=row.host,
            pid=row.pid,
            model=row.model,
            only_job_id=row.only_job_id,
            broker_digest=row.broker_digest,
            device=row.device,
            started_at=row.started_at,
            last_seen_at=row.last_seen_at,
            stopped_at=row.stopped_at,
            problem=row.problem,
            telemetry=None if row.telemetry is None else from_json(row.telemetry),
            now=row.now,
        )
        for row in found
    ]

"""What a worker does with shards: claim, renew, release, fail.

Each is one short transaction. (shard, worker, attempt) is the fence: whoever lost a claim changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, and_, func, select, tuple_, update

from rankmill.db.queue.failed_attempts import record_failed_attempt
from rankmill.db.queue.fair_share import DueJob, charge, due_jobs
from rankmill.db.records.shards import Claim, ShardState
from rankmill.db.runtime.failpoints import reach
from rankmill.db.schema.conditions import IS_CLAIMED, IS_FRESH, IS_READY, IS_SUSPECT, RUNS
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.shards import shards, workers
from rankmill.db.schema.texts_and_scores import scorers
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import storable
from rankmill.db.store.store import Store

FIRST_LOOK = 8
MAX_LOOK = 512
"""How many ready shards of a job are looked at in one statement, the first time and at most."""
MAX_JOBS = 64
RELEASED = {
    "state": "ready",
    "claimant": None,
    "lease_until": None,
    "num_releases": shards.c.num_releases + 1,
}
"""What a release makes of a claimed shard: ready at once, and the attempt does not count."""


def claim(
    store: Store,
    *,
    worker_id: int,
    scorer_id: int,
    budget_tokens: int,
    lease_s: float,
    job_id: int | None = None,
    may_take_suspect: bool = True,
    but: Callable[[], Collection[int]] = tuple,
) -> list[Claim]:
    """Takes ready shards of one priority, job by job in turn, until the next would exceed the budget.

    At least one if any is ready. A suspect is taken alone: a worker that holds something else says
    `may_take_suspect=False` and gets nothing when the next job has only suspects left. Shards that another
    worker is taking at this moment are passed over, not waited for, and so are those that `but` names. With
    `job_id` the claim is not charged to the job's fair share.
    """

    def take(connection: Connection) -> list[Claim]:
        claims: list[Claim] = []
        set_aside = but()  # asked now: on SQLite this transaction may have waited for others
        for job in due_jobs(connection, scorer_id, job_id, MAX_JOBS, set_aside):
            room = budget_tokens - sum(claimed.num_tokens for claimed in claims)
            if claims and room <= 0:
                break
            is_first = not claims
            claims += take_fresh(
                connection, job, room, worker_id, lease_s, at_least_one=is_first, but=set_aside
            )
            if not claims and (suspect := next_suspect(connection, job, set_aside)) is not None:
                if may_take_suspect:
                    claims = mark_claimed(connection, [suspect], job, worker_id, lease_s)
                break
        if claims:
            if job_id is None:
                tokens = Counter[int]()
                for claimed in claims:
                    tokens[claimed.job_id] += claimed.num_tokens
                charge(connection, scorer_id, claims[0].priority, tokens, budget_tokens=budget_tokens)
            reach("before_claim_commit")
        return claims

    taken = store.write(take)
    if taken:
        reach("after_claim_commit")
    return taken


def take_fresh(
    connection: Connection,
    job: DueJob,
    room: int,
    worker_id: int,
    lease_s: float,
    *,
    at_least_one: bool,
    but: Collection[int] = (),
) -> list[Claim]:
    """Claims the job's fresh shards in stored order, as many as fit into `room` tokens."""
    claims: list[Claim] = []
    look = FIRST_LOOK
    while True:
        found = ready_shards(connection, job, look, but)
        fitting = list(leading_within(found, room, at_least_one=at_least_one and not claims))
        if fitting:
            claims += mark_claimed(connection, fitting, job, worker_id, lease_s)
            room -= sum(claimed.num_tokens for claimed in claims[-len(fitting) :])
        # Fewer than asked for: nothing more is ready. Fewer than found: the budget is spent.
        if len(found) < look or len(fitting) < len(found):
            return claims
        look = min(look * 2, MAX_LOOK)


def ready_shards(
    connection: Connection, job: DueJob, limit: int, but: Collection[int]
) -> Sequence[tuple[int, int]]:
    """The ids and tokens of the job's next fresh shards, locked for this transaction."""
    ready = (
        select(shards.c.id, shards.c.num_tokens)
        .where(shards.c.job_id == job.job_id, IS_FRESH, *is_none_of(but))
        .order_by(shards.c.first_pair)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [(row.id, row.num_tokens) for row in connection.execute(ready)]


def next_suspect(connection: Connection, job: DueJob, but: Collection[int] = ()) -> int | None:
    """The job's smallest suspect, locked: the smallest leads to the failing pair soonest."""
    suspects = (
        select(shards.c.id)
        .where(shards.c.job_id == job.job_id, IS_SUSPECT, *is_none_of(but))
        .order_by(shards.c.num_pairs, shards.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return connection.scalar(suspects)


def is_none_of(but: Collection[int]) -> Iterable[ColumnElement[bool]]:
    return [shards.c.id.not_in(but)] if but else []


def leading_within(found: Sequence[tuple[int, int]], room: int, *, at_least_one: bool) -> Iterable[int]:
    """The first ids, as many as fit into `room` tokens together."""
    for shard_id, num_tokens in found:
        if num_tokens > room and not at_least_one:
            return
        at_least_one = False
        room -= num_tokens
        yield shard_id


def mark_claimed(
    connection: Connection, shard_ids: Sequence[int], job: DueJob, worker_id: int, lease_s: float
) -> list[Claim]:
    claimed = connection.execute(
        update(shards)
        .where(shards.c.id.in_(shard_ids), IS_READY)
        .values(
            state="claimed", claimant=worker_id, lease_until=now_s() + lease_s, attempt=shards.c.attempt + 1
        )
        .returning(
            shards.c.id,
            shards.c.job_id,
            shards.c.attempt,
            shards.c.num_releases,
            shards.c.first_pair,
            shards.c.end_pair,
            shards.c.num_pairs,
            shards.c.num_tokens,
        )
    )
    order = {shard_id: position for position, shard_id in enumerate(shard_ids)}
    claims = [
        Claim(
            shard_id=row.id,
            job_id=row.job_id,
            worker_id=worker_id,
            attempt=row.attempt,
            first_pair=row.first_pair,
            end_pair=row.end_pair,
            num_pairs=row.num_pairs,
            num_tokens=row.num_tokens,
            priority=job.priority,
            is_suspect=row.attempt - row.num_releases > 1,
        )
        for row in claimed
    ]
    return sorted(claims, key=lambda claimed: order[claimed.shard_id])


def still_held(claims: Iterable[Claim]) -> ColumnElement[bool]:
    """The fence: the shard is claimed, by this worker, in this very attempt."""
    keys = [(claimed.shard_id, claimed.worker_id, claimed.attempt) for claimed in claims]
    return and_(IS_CLAIMED, tuple_(shards.c.id, shards.c.claimant, shards.c.attempt).in_(keys))


def renew(store: Store, worker_id: int, lease_s: float, claims: Iterable[Claim] | None = None) -> int:
    """The heartbeat: extends this worker's leases to `lease_s` from now and notes that the worker lives.

    With `claims` only those are extended: a claim that the worker never heard of, because the answer was lost
    with the connection, runs out. Returns how many were extended.
    """
    is_held = and_(shards.c.claimant == worker_id, IS_CLAIMED)
    if claims is not None:
        is_held = and_(is_held, still_held(claims))

    def extend(connection: Connection) -> int:
        extended = connection.execute(update(shards).where(is_held).values(lease_until=now_s() + lease_s))
        connection.execute(update(workers).where(workers.c.id == worker_id).values(last_seen_at=now_s()))
        reach("during_heartbeat")
        return extended.rowcount

    return store.write(extend)


def release(store: Store, claims: Iterable[Claim], reason: str | None = None) -> int:
    """Gives claims back: the shards are ready at once, and the attempt does not count. Returns how many.

    `reason` says to people why they wait.
    """
    held = list(claims)
    if not held:
        return 0
    values = RELEASED if reason is None else {**RELEASED, "reason": storable(reason)}

    def give_back(connection: Connection) -> int:
        released = connection.execute(update(shards).where(still_held(held)).values(values))
        return released.rowcount

    return store.write(give_back)


def fail(store: Store, claimed: Claim, reason: str, max_attempts: int) -> ShardState:
    """Fails this attempt: the shard is ready again, or split in half, or dead with `reason` after the last.

    Returns the state the shard is in now. A claim that is no longer held changes nothing.
    """

    def give_up(connection: Connection) -> ShardState:
        record_failed_attempt(connection, still_held([claimed]), reason, max_attempts, waits=True)
        state: str = connection.execute(
            select(shards.c.state).where(shards.c.id == claimed.shard_id)
        ).scalar_one()
        return ShardState(state)

    return store.write(give_up)


def num_ready(store: Store, model: str, job_id: int | None = None) -> int:
    """How many shards wait for workers of `model` (of `job_id`, if given)."""
    ready = (
        select(func.count())
        .select_from(
            shards.join(scorers, scorers.c.id == shards.c.scorer_id).join(jobs, jobs.c.id == shards.c.job_id)
        )
        .where(scorers.c.model == model, IS_READY, RUNS)
    )
    if job_id is not None:
        ready = ready.where(shards.c.job_id == job_id)
    with store.reading() as connection:
        return connection.execute(ready).scalar_one()

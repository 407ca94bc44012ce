"""A shard's life between ready and done: claim, renew, release, fail; load gives a claim its texts.

Each is one short transaction. (shard, worker, attempt) is the fence: whoever lost a claim changes nothing.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, and_, func, select, tuple_, update

from db.clock import now_s
from db.completion import finish_jobs
from db.failpoints import reach
from db.loading import load as load
from db.records import Claim, ShardState
from db.rescue import rescue as rescue
from db.rescue import rescue_orphans as rescue_orphans
from db.rescue import returned
from db.schema import jobs, scorers, shards, workers
from db.states import IS_CLAIMED, IS_OPEN, IS_READY
from db.store import Store

FIRST_LOOK = 8
MAX_LOOK = 512


def claim(
    store: Store,
    *,
    worker_id: int,
    scorer_id: int,
    budget_tokens: int,
    lease_s: float,
    job_id: int | None = None,
) -> list[Claim]:
    """Takes ready shards of active jobs, by priority then id, until the next would pass the budget.

    At least one if any is ready. Shards another worker is just taking are passed over, not waited for.
    """

    def take(connection: Connection) -> list[Claim]:
        claims: list[Claim] = []
        room, look = budget_tokens, FIRST_LOOK
        while True:
            found = ready_shards(connection, scorer_id, job_id, look)
            taken = list(within(found, room, at_least_one=not claims))
            if taken:
                claims += mark_claimed(connection, taken, worker_id, lease_s)
                room = budget_tokens - sum(claimed.num_tokens for claimed in claims)
            # Fewer than asked for: nothing more is ready. Fewer than found: the budget is spent.
            if len(found) < look or len(taken) < len(found):
                if claims:
                    reach("before_claim_commit")
                return claims
            look = min(look * 2, MAX_LOOK)

    taken = store.write(take)
    if taken:
        reach("after_claim_commit")
    return taken


def ready_shards(
    connection: Connection, scorer_id: int, job_id: int | None, limit: int
) -> Sequence[tuple[int, int]]:
    """Ids and tokens of the next ready shards, locked for this transaction."""
    # Asked per shard and not joined: PostgreSQL then has no way but along the index, a few rows of it.
    state_of_job = select(jobs.c.state).where(jobs.c.id == shards.c.job_id).scalar_subquery()
    ready = (
        select(shards.c.id, shards.c.num_tokens)
        .where(shards.c.scorer_id == scorer_id, IS_READY, state_of_job == "active")
        .limit(limit)
        .with_for_update(of=shards, skip_locked=True)
    )
    if job_id is None:
        ready = ready.order_by(shards.c.priority, shards.c.id)
    else:
        # A job has one priority, and shards are numbered as they lie; IS_OPEN brings the job's own index in.
        ready = ready.where(shards.c.job_id == job_id, IS_OPEN).order_by(shards.c.first_pair)
    return [(row.id, row.num_tokens) for row in connection.execute(ready)]


def within(found: Sequence[tuple[int, int]], room: int, *, at_least_one: bool) -> Iterable[int]:
    """The leading ids whose tokens fit into `room`."""
    for shard_id, num_tokens in found:
        if num_tokens > room and not at_least_one:
            return
        at_least_one = False
        room -= num_tokens
        yield shard_id


def mark_claimed(
    connection: Connection, shard_ids: Sequence[int], worker_id: int, lease_s: float
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
        )
        for row in claimed
    ]
    return sorted(claims, key=lambda claimed: order[claimed.shard_id])


def still_held(claims: Iterable[Claim]) -> ColumnElement[bool]:
    """The fence: the shard is claimed, by this worker, in this very attempt."""
    keys = [(claimed.shard_id, claimed.worker_id, claimed.attempt) for claimed in claims]
    return and_(IS_CLAIMED, tuple_(shards.c.id, shards.c.claimant, shards.c.attempt).in_(keys))


def renew(store: Store, worker_id: int, lease_s: float, claims: Iterable[Claim] | None = None) -> int:
    """The heartbeat: extends this worker's leases by `lease_s` from now and notes that it lives.

    With `claims` only those are extended, so that a claim the worker never heard of (its answer was lost
    with the connection) runs out. Returns how many were extended.
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


def release(store: Store, claims: Iterable[Claim]) -> int:
    """Gives claims back unharmed: ready at once, and the attempt does not count. Returns how many."""
    held = list(claims)
    if not held:
        return 0

    def give_back(connection: Connection) -> int:
        released = connection.execute(
            update(shards)
            .where(still_held(held))
            .values(state="ready", claimant=None, lease_until=None, num_releases=shards.c.num_releases + 1)
        )
        return released.rowcount

    return store.write(give_back)


def fail(store: Store, claimed: Claim, reason: str, max_attempts: int) -> ShardState:
    """Gives up this attempt: ready again, or dead with `reason` after the last.

    Returns the state the shard is in now; a claim no longer held changes nothing.
    """

    def give_up(connection: Connection) -> ShardState:
        connection.execute(
            update(shards).where(still_held([claimed])).values(returned(max_attempts, reason=reason))
        )
        state: str = connection.execute(
            select(shards.c.state).where(shards.c.id == claimed.shard_id)
        ).scalar_one()
        if state == ShardState.DEAD:
            finish_jobs(connection, [claimed.job_id])
        return ShardState(state)

    return store.write(give_up)


def num_ready(store: Store, model: str, job_id: int | None = None) -> int:
    """How many shards wait for workers of `model` (of `job_id`, if given)."""
    ready = (
        select(func.count())
        .select_from(
            shards.join(scorers, scorers.c.id == shards.c.scorer_id).join(jobs, jobs.c.id == shards.c.job_id)
        )
        .where(scorers.c.model == model, IS_READY, jobs.c.state == "active")
    )
    if job_id is not None:
        ready = ready.where(shards.c.job_id == job_id)
    with store.reading() as connection:
        return connection.execute(ready).scalar_one()

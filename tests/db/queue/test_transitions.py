"""Every verb of a shard's life in every state: the allowed arrows, and nothing changed by all others."""

from collections.abc import Callable

import pytest

from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.claims import claim, fail, release, renew
from rankmill.db.queue.landing import complete
from rankmill.db.queue.rescue import rescue_silent
from rankmill.db.queue.workers import farewell
from rankmill.db.records.jobs import JobState
from rankmill.db.records.shards import Claim, ShardState
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, scored, submit
from tests.support.jobs.store_rows import count, execute, rows, run_out, shard, states

MAX_ATTEMPTS = 3


class Scene:
    """One shard, one worker, and the claim it once had."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.job_id = submit(store, query_texts=["q"], document_texts=["d"]).job_id
        self.worker = StandIn(store)
        (self.claim,) = self.worker.claim()
        self.result = scored(load(store, self.claim))

    def bring_to(self, state: str) -> None:
        if state == "ready":
            release(self.store, [self.claim])
        elif state == "done":
            self.worker.complete([self.claim])
        elif state == "dead":
            fail(self.store, self.claim, "poison", max_attempts=1)
        elif state == "cancelled":
            cancel_job(self.store, self.job_id)
        assert self.state == state

    @property
    def state(self) -> str:
        return states(self.store)[0]


def claim_it(scene: Scene) -> None:
    scene.worker.claim()


def complete_it(scene: Scene) -> None:
    complete(scene.store, scene.worker.engine_id, [scene.result])


def fail_it(scene: Scene) -> None:
    fail(scene.store, scene.claim, "broken", MAX_ATTEMPTS)


def release_it(scene: Scene) -> None:
    release(scene.store, [scene.claim])


def renew_it(scene: Scene) -> None:
    renew(scene.store, scene.worker.worker_id, 60)


def rescue_it(scene: Scene) -> None:
    if scene.state == "claimed":
        run_out(scene.store, scene.claim)
    rescue_silent(scene.store, MAX_ATTEMPTS)


def say_farewell(scene: Scene) -> None:
    farewell(scene.store, scene.worker.worker_id)


def cancel_it(scene: Scene) -> None:
    cancel_job(scene.store, scene.job_id)


VERBS = [claim_it, complete_it, fail_it, release_it, renew_it, rescue_it, say_farewell, cancel_it]
ARROWS: dict[tuple[Callable[[Scene], None], str], str] = {
    (claim_it, "ready"): "claimed",
    (complete_it, "claimed"): "done",
    (fail_it, "claimed"): "ready",
    (release_it, "claimed"): "ready",
    (rescue_it, "claimed"): "ready",
    (say_farewell, "claimed"): "ready",
    (cancel_it, "ready"): "cancelled",
    (cancel_it, "claimed"): "cancelled",
}


@pytest.mark.parametrize("state", list(ShardState))
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_leads_along_its_arrow_or_nowhere(
    store: Store, verb: Callable[[Scene], None], state: str
) -> None:
    scene = Scene(store)
    scene.bring_to(state)
    before = rows(store, "shards")
    verb(scene)
    assert scene.state == ARROWS.get((verb, state), state)
    if (verb, state) not in ARROWS and (verb, state) != (renew_it, "claimed"):
        assert rows(store, "shards") == before


def test_the_attempt_only_grows_and_a_release_is_not_counted(store: Store) -> None:
    scene = Scene(store)
    attempts = [scene.claim.attempt]
    for verb in (release_it, fail_it, rescue_it, release_it):
        verb(scene)
        (scene.claim,) = scene.worker.claim()
        attempts.append(scene.claim.attempt)
    assert attempts == [1, 2, 3, 4, 5]
    assert shard(store, scene.claim.shard_id)["num_releases"] == 2


def test_a_shard_dies_of_its_last_failed_attempt_with_the_reason(store: Store) -> None:
    scene = Scene(store)
    found = []
    for _ in range(MAX_ATTEMPTS):
        found.append(fail(store, scene.claim, "the model broke", MAX_ATTEMPTS))
        scene.claim = next(iter(scene.worker.claim()), scene.claim)
    assert found == [ShardState.READY, ShardState.READY, ShardState.DEAD]
    assert shard(store, scene.claim.shard_id)["reason"] == "the model broke"
    assert job_progress(store, scene.job_id).state is JobState.DONE


def test_releases_do_not_bring_a_shard_nearer_to_death(store: Store) -> None:
    scene = Scene(store)
    for _ in range(10):
        release_it(scene)
        (scene.claim,) = scene.worker.claim()
    assert fail(store, scene.claim, "broken", MAX_ATTEMPTS) is ShardState.READY


def test_a_failure_of_a_claim_no_longer_held_says_where_the_shard_is(store: Store) -> None:
    scene = Scene(store)
    scene.worker.complete([scene.claim])
    assert fail(store, scene.claim, "late", MAX_ATTEMPTS) is ShardState.DONE


def test_a_reason_with_characters_no_database_holds_is_kept_readable(store: Store) -> None:
    scene = Scene(store)
    fail(store, scene.claim, "bad\0bytes \ud800" + "x" * 10_000, max_attempts=1)
    reason = shard(store, scene.claim.shard_id)["reason"]
    assert reason.startswith("bad\N{REPLACEMENT CHARACTER}bytes ?xxx")
    assert len(reason) == 2_000


def stale_claims(store: Store, worker: StandIn) -> dict[str, Claim]:
    """Claims that were lost in each way there is; their shards are now held by another."""
    claims = worker.claim(budget_tokens=10**9)
    released, failed, rescued = claims
    release(store, [released])
    fail(store, failed, "broken", MAX_ATTEMPTS)
    run_out(store, rescued)
    rescue_silent(store, MAX_ATTEMPTS)
    other = StandIn(store)
    while other.claim(budget_tokens=10**9):
        pass
    assert set(states(store)) == {"claimed"}
    return {"released": released, "failed": failed, "rescued": rescued}


def test_a_stale_claimant_changes_nothing(store: Store) -> None:
    submit(store)
    worker = StandIn(store)
    stale = stale_claims(store, worker)
    before = rows(store, "shards")
    for held in stale.values():
        assert worker.complete([held]) == set()
        assert release(store, [held]) == 0
        assert fail(store, held, "late", MAX_ATTEMPTS) is ShardState.CLAIMED
    assert renew(store, worker.worker_id, 60) == 0
    assert farewell(store, worker.worker_id) == 0
    assert rows(store, "shards") == before
    assert count(store, "scores") == 0


def test_the_same_worker_with_an_older_attempt_is_stale_too(store: Store) -> None:
    scene = Scene(store)
    old = scene.claim
    release_it(scene)
    (scene.claim,) = scene.worker.claim()
    assert scene.worker.complete([old]) == set()
    assert scene.worker.complete([scene.claim]) == {scene.claim.shard_id}


def test_of_several_results_only_the_held_ones_land(store: Store) -> None:
    submit(store)
    worker = StandIn(store)
    claims = worker.claim(budget_tokens=10**9)
    release(store, claims[1:2])
    assert worker.complete(claims) == {claims[0].shard_id, claims[2].shard_id}
    assert (states(store), count(store, "scores")) == (["done", "ready", "done"], 4)


def test_a_heartbeat_extends_every_lease_of_its_worker_and_no_other(store: Store) -> None:
    submit(store)
    worker, other = StandIn(store), StandIn(store)
    (mine,), (theirs,) = worker.claim(lease_s=10), other.claim(lease_s=10)
    before = shard(store, theirs.shard_id)["lease_until"]
    execute(store, "UPDATE workers SET last_seen_at = 1")
    assert renew(store, worker.worker_id, 1000) == 1
    assert shard(store, mine.shard_id)["lease_until"] > before + 900
    assert shard(store, theirs.shard_id)["lease_until"] == before
    assert [row["last_seen_at"] > 1 for row in rows(store, "workers")] == [True, False]


def test_a_heartbeat_can_be_held_to_the_claims_its_worker_knows(store: Store) -> None:
    submit(store)
    worker = StandIn(store)
    (known,), (unheard_of,) = worker.claim(lease_s=10), worker.claim(lease_s=10)
    assert renew(store, worker.worker_id, 1000, [known]) == 1
    leases = [shard(store, held.shard_id)["lease_until"] for held in (known, unheard_of)]
    assert leases[0] > leases[1] + 900
    assert renew(store, worker.worker_id, 1000, []) == 0


def test_claims_of_a_worker_that_is_not_registered_are_refused(store: Store) -> None:
    submit(store)
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        claim(store, worker_id=99, scorer_id=1, budget_tokens=1, lease_s=60)
    assert set(states(store)) == {"ready"}

"""Whatever happens to a job's shards, in whatever order: in the end every pair has one score, none two."""

from itertools import count as counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue.claims import fail, release, renew
from rankmill.db.queue.rescue import rescue_silent
from rankmill.db.queue.workers import farewell
from rankmill.db.records.jobs import JobState
from rankmill.db.records.shards import Claim
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.jobs.store_rows import run_out

MANY_ATTEMPTS = 1_000
VERBS = st.sampled_from(
    ["claim", "complete", "complete again", "fail", "release", "run out", "rescue", "renew", "leave"]
)
STEPS = st.lists(st.tuples(VERBS, st.integers(0, 1), st.integers(0, 5)), max_size=25)
NUMBERS = counter()


class Life:
    """Two workers that do to one job what they are told; claims they lost stay in their hands."""

    def __init__(self, store: Store, job_id: int) -> None:
        self.store, self.job_id = store, job_id
        self.workers = [StandIn(store), StandIn(store)]
        self.claims: list[Claim] = []
        self.landed: list[int] = []

    def step(self, verb: str, who: int, which: int) -> None:
        worker = self.workers[who]
        if verb == "claim":
            self.claims += worker.claim(budget_tokens=which * 4, job_id=self.job_id)
        elif verb == "rescue":
            rescue_silent(self.store, MANY_ATTEMPTS)
        elif verb == "renew":
            renew(self.store, worker.worker_id, 60)
        elif verb == "leave":
            farewell(self.store, worker.worker_id)
        elif self.claims:
            self.do_to(verb, self.claims[which % len(self.claims)])

    def do_to(self, verb: str, held: Claim) -> None:
        if verb == "fail":
            fail(self.store, held, "broken", MANY_ATTEMPTS)
        elif verb == "release":
            release(self.store, [held])
        elif verb == "run out":
            self.let_run_out(held)
        else:
            self.landed += self.workers[0].complete([held] * (1 if verb == "complete" else 2))

    def let_run_out(self, held: Claim) -> None:
        """Only a lease that is still there can run out."""
        if renew(self.store, held.worker_id, 60, [held]):
            run_out(self.store, held)

    def end(self) -> None:
        for worker in self.workers:
            farewell(self.store, worker.worker_id)
        while claims := self.workers[0].claim(budget_tokens=10**9, job_id=self.job_id):
            self.landed += self.workers[0].complete(claims)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_every_pair_is_scored_once_whatever_happens_on_the_way(
    store: Store, steps: list[tuple[str, int, int]]
) -> None:
    number = next(NUMBERS)
    submission = submit(
        store,
        key=str(number),
        query_texts=["a", "b"],
        document_texts=[f"{number} {n}" for n in range(4)],
        pairs_per_shard=2,
    )
    life = Life(store, submission.job_id)
    for step in steps:
        life.step(*step)
        found = job_progress(store, submission.job_id)
        assert found.num_scored + found.num_claimed + found.num_waiting == 8
    life.end()
    found = job_progress(store, submission.job_id)
    assert (found.state, found.num_scored, found.num_failed) == (JobState.DONE, 8, 0)
    shown = [(row.query_id, row.document_id) for row in ranked_results(store, submission.job_id)]
    assert (len(shown), len(set(shown))) == (8, 8)
    assert sorted(life.landed) == sorted(set(life.landed)), "a shard landed twice"
    assert len(life.landed) == 4

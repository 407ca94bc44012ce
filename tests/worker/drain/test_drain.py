"""The drain, in one process, on both stores: what it scores, releases, fails and tells."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import update

from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue import workers
from rankmill.db.records.jobs import JobState, Priority
from rankmill.db.records.pairs import PairResults, PairTexts
from rankmill.db.records.scorers import LongDocuments, ScorerSpec
from rankmill.db.results.ranked import ranked_results
from rankmill.db.schema.shards import shards
from rankmill.db.store.store import Store
from rankmill.worker.errors import Stopped
from rankmill.worker.scorer.protocol import Prepared
from tests.support.jobs.drains import desk, expected_logits, logits, num_burned, num_scores, states
from tests.support.jobs.scorers import HookedScorer, raising_for
from tests.support.jobs.small_jobs import SPEC, StandIn, submit

QUERIES = ["who pays", "when does it end"]
DOCUMENTS = [f"clause {number} of the contract" for number in range(12)]


def submit_contract(store: Store, **request: object) -> int:
    """24 pairs in 12 shards of one document each."""
    return submit(store, query_texts=QUERIES, document_texts=DOCUMENTS, pairs_per_shard=2, **request).job_id  # type: ignore[arg-type]


def test_a_drain_scores_everything_and_says_so_in_one_line(store: Store) -> None:
    job_id = submit_contract(store)
    with desk(store) as worker:
        report = worker.drain()
        again = worker.drain()
    assert logits(store, job_id) == expected_logits(QUERIES, DOCUMENTS)
    assert job_progress(store, job_id).state is JobState.DONE
    assert report.line().startswith(f"job {job_id}: 12 shards, 24 pairs, ")
    assert report.line().endswith(" tokens/s")
    assert again.line() == "nothing was ready"


def test_others_are_told_once_when_more_is_ready_than_one_claim_takes(store: Store) -> None:
    submit_contract(store)
    with desk(store, HookedScorer(claim_tokens=1).load) as worker:
        worker.drain()
        assert worker.told == [11]
    submit_contract(store, key="another")
    with desk(store) as worker:
        worker.drain()
        assert worker.told == []


def test_a_pair_that_another_job_scored_meanwhile_is_not_scored_again(store: Store) -> None:
    first = submit_contract(store, key="first")
    second = submit_contract(store, key="second")
    with desk(store) as worker:
        worker.drain(job_id=first)
        report = worker.drain(job_id=second)
    assert (report.num_shards, report.num_pairs) == (12, 0)
    assert job_progress(store, second).state is JobState.DONE
    assert num_scores(store) == 24


def test_a_drain_restricted_to_a_job_leaves_others_alone(store: Store) -> None:
    submit_contract(store, key="not ours")
    ours = submit(store, key="ours", document_texts=["quite", "other", "texts"]).job_id
    with desk(store) as worker:
        report = worker.drain(job_id=ours)
    assert report.job_ids == {ours}
    assert states(store) == {"ready": 12, "done": 3}


def test_scorers_of_one_model_are_served_in_one_drain_one_after_the_other(store: Store) -> None:
    submit_contract(store, key="windows")
    cutting = ScorerSpec(model="null", long_documents=LongDocuments.TRUNCATE)
    submit_contract(store, key="truncate", scorer=cutting)
    submit_contract(store, key="other model", scorer=ScorerSpec(model="other"))
    loaded: list[ScorerSpec] = []

    def load(spec: ScorerSpec) -> HookedScorer:
        loaded.append(spec)
        return HookedScorer()

    with desk(store, load) as worker:
        worker.drain()
    assert loaded == [SPEC, cutting]
    assert states(store) == {"ready": 12, "done": 24}


@pytest.mark.parametrize("can_be_had", [True, False])
def test_an_urgent_job_with_another_scorer_waits_for_no_slice(store: Store, can_be_had: bool) -> None:
    submit_contract(store)
    cutting = ScorerSpec(model="null", long_documents=LongDocuments.TRUNCATE)
    order: list[str] = []

    def submit_urgently(_requests: Sequence[PairTexts]) -> None:
        order.append("calm")
        submit(store, key="urgent", scorer=cutting, priority=Priority.HIGH)

    def load(spec: ScorerSpec) -> HookedScorer:
        if spec == SPEC:
            return HookedScorer(claim_tokens=1, before_scoring=submit_urgently)
        if not can_be_had:
            raise MemoryError("no room")
        return HookedScorer(claim_tokens=1, before_scoring=lambda _requests: order.append("urgent"))

    with desk(store, load) as worker:
        worker.drain()
    if can_be_had:
        assert states(store) == {"done": 15}
        assert order.index("urgent") <= 3, "what was in hand comes first, and nothing else"
        assert order[order.index("urgent") :].index("calm") == 3
    else:
        assert states(store) == {"done": 12, "ready": 3}


def test_the_slice_ends_between_groups_and_says_how_much_is_left(store: Store) -> None:
    submit_contract(store)
    with desk(store, HookedScorer(claim_tokens=1).load) as worker:
        report = worker.drain(drain_s=0)
        assert (report.num_shards, report.num_left) == (0, 12)
        assert worker.drain().num_left == 0


@pytest.mark.parametrize("step", ["before_preparing", "before_scoring"])
def test_a_shard_that_cannot_be_scored_burns_only_its_own_attempts(store: Store, step: str) -> None:
    job_id = submit_contract(store)
    poison = raising_for("clause 5 ", RuntimeError("poison"))
    with desk(store, HookedScorer(**{step: poison}).load) as worker:  # type: ignore[arg-type]
        report = worker.drain(max_attempts=2)
    assert states(store) == {"done": 11, "dead": 2}, "whole, then alone, then each of its pairs"
    assert report.num_failed_shards == 4
    assert "4 shards failed" in report.line()
    assert num_burned(store) == 4
    failed = [row for row in ranked_results(store, job_id) if row.error]
    assert len(failed) == 2
    assert all("RuntimeError: poison" in str(row.error) for row in failed)


def test_when_shard_after_shard_fails_the_engine_rests_before_all_are_burned(store: Store) -> None:
    submit_contract(store)
    broken = raising_for("clause", RuntimeError("device-side assert"))
    with desk(store, HookedScorer(before_scoring=broken).load) as worker:
        report = worker.drain()
        assert report.problem is not None
        assert "device-side assert" in report.problem
        assert worker.drain().num_failed_shards == 0, "a resting scorer was tried again at once"
    assert states(store) == {"ready": 12}
    assert num_burned(store) == 3


def test_a_stop_between_shards_lands_what_is_scored_and_releases_the_rest(store: Store) -> None:
    submit_contract(store)
    seen: list[PairTexts] = []

    def stop_at_the_third_group(requests: Sequence[PairTexts]) -> None:
        seen.extend(requests)
        if len(seen) == 3:
            worker.stop.ask()

    with desk(store, HookedScorer(claim_tokens=1, before_scoring=stop_at_the_third_group).load) as worker:
        report = worker.drain()
    assert report.num_shards == 2
    assert report.num_left == 10
    assert states(store) == {"ready": 10, "done": 2}
    assert num_burned(store) == 0


def test_a_stop_lands_the_shards_that_are_whole_under_their_own_claims_wherever_they_stand(
    store: Store,
) -> None:
    job_id = submit_contract(store)

    class Patchy(HookedScorer):
        def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
            whole = super().score(prepared, should_stop)
            worker.stop.ask()
            raise Stopped([result if place % 3 == 1 else None for place, result in enumerate(whole)])

    with desk(store, Patchy().load) as worker:
        report = worker.drain()
    assert (report.num_shards, report.num_released, report.num_failed_shards) == (4, 8, 0)
    assert states(store) == {"done": 4, "ready": 8}
    assert num_burned(store) == 0
    landed = {pair: logit for pair, logit in logits(store, job_id).items() if logit is not None}
    expected = expected_logits(QUERIES, DOCUMENTS)
    names = [f"d{number + 1}" for number in range(12) if number % 3 == 1]
    assert landed == {pair: logit for pair, logit in expected.items() if pair[1] in names}


def test_a_process_that_is_ended_in_the_middle_releases_what_it_holds(store: Store) -> None:
    submit_contract(store)

    def be_terminated(_requests: Sequence[PairTexts]) -> None:
        raise SystemExit(-15)  # what billiard's handler of SIGTERM does

    with desk(store, HookedScorer(before_scoring=be_terminated).load) as worker, pytest.raises(SystemExit):
        worker.drain()
    assert states(store) == {"ready": 12}
    assert num_burned(store) == 0


def test_a_worker_that_lost_its_leases_lands_nothing(store: Store) -> None:
    job_id = submit_contract(store)
    other = StandIn(store)

    def lose_everything(_requests: Sequence[PairTexts]) -> None:
        with store.writing() as connection:  # as if rescued and claimed again while we were frozen
            connection.execute(update(shards).values(claimant=other.worker_id, attempt=shards.c.attempt + 1))

    with desk(store, HookedScorer(before_scoring=lose_everything).load) as worker:
        report = worker.drain()
    assert (report.num_shards, report.num_lost, num_scores(store)) == (0, 12, 0)
    assert "12 shards lost to others" in report.line()
    assert states(store) == {"claimed": 12}, "the other one's claims are untouched"
    workers.farewell(store, other.worker_id)
    with desk(store, HookedScorer().load) as worker:
        worker.drain()
    assert logits(store, job_id) == expected_logits(QUERIES, DOCUMENTS)

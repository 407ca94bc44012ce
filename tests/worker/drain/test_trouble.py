"""A drain whose store goes away, whose model cannot be had, whose heart must beat: events, never losses."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from rankmill.db.errors import StoreBusy, StoreUnavailable
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.queue import claims, workers
from rankmill.db.queue.rescue import rescue_silent
from rankmill.db.records.pairs import PairTexts
from rankmill.db.records.scorers import EngineFacts, LongDocuments, ScorerSpec
from rankmill.db.schema.shards import shards
from rankmill.db.scorers.identity import record_engine
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.worker.drain.loaded_scorer import ScorerCache
from rankmill.worker.health.stop import Stop
from rankmill.worker.health.store_retry import retry_store
from rankmill.worker.loading.load import load_scorer
from tests.support.jobs.drains import desk, num_burned, num_scores, states
from tests.support.jobs.scorers import HookedScorer
from tests.support.jobs.small_jobs import SPEC, submit
from tests.support.servers.outages import away, cut_connections
from tests.support.waiting import wait_until

DOCUMENTS = [f"clause {number}" for number in range(6)]
CUTTING = ScorerSpec(model="null", long_documents=LongDocuments.TRUNCATE)


def submit_six(store: Store, **request: object) -> None:
    submit(store, document_texts=DOCUMENTS, **request)  # type: ignore[arg-type]


def test_cut_connections_cost_nothing_but_a_moment(postgres_url: str) -> None:
    def cut(_requests: Sequence[PairTexts]) -> None:
        cut_connections(postgres_url)

    with open_store(postgres_url) as store:
        submit_six(store)
        with desk(store, HookedScorer(claim_tokens=1, before_scoring=cut).load) as worker:
            report = worker.drain()
        assert (report.problem, report.num_pairs) == (None, 12)
        assert states(store) == {"done": 6}


def test_a_store_that_stays_away_ends_the_drain_and_the_next_one_goes_on(postgres_url: str) -> None:
    with ExitStack() as outage, open_store(postgres_url) as store:
        submit_six(store)

        def lose_the_store(_requests: Sequence[PairTexts]) -> None:
            outage.enter_context(away(postgres_url))

        losing = HookedScorer(claim_tokens=1, before_scoring=lose_the_store)
        with desk(store, losing.load, lease_s=1) as worker:
            report = worker.drain()
            assert report.problem is not None
            assert "cannot be reached" in report.problem
            assert "stopped by a problem" in report.line()
            outage.close()
            assert states(store)["claimed"] >= 1
            worker.scorer_cache = ScorerCache(store, worker.leases, HookedScorer().load)
            report = worker.drain()
        assert (report.problem, report.num_pairs) == (None, 12)
        assert states(store) == {"done": 6}
        assert num_burned(store) == 0, "the old row's farewell gives claims back unharmed"
        assert num_scores(store) == 12


def test_a_refused_call_is_tried_again_until_the_deadline_and_then_says_why() -> None:
    refusals = iter([StoreBusy("locked"), StoreUnavailable("sqlite:///x", "gone")])

    def call() -> str:
        for refusal in refusals:
            raise refusal
        return "done"

    assert retry_store("claim", call, until=lambda: float("inf"), stop=Stop()) == "done"

    def refuse() -> None:
        raise StoreBusy("locked")

    with pytest.raises(StoreBusy):
        retry_store("claim", refuse, until=lambda: 0.0, stop=Stop())


def test_a_heartbeat_extends_leases_beyond_their_length(store: Store) -> None:
    submit_six(store)

    def outlive_the_lease(requests: Sequence[PairTexts]) -> None:
        def is_renewed() -> bool:
            with store.reading() as connection:
                earliest = select(func.min(shards.c.lease_until)).where(shards.c.state == "claimed")
                found.append(connection.scalar(earliest))
            return bool(found[-1] > found[0] + 1.0)

        found: list[Any] = []
        wait_until(is_renewed, 20, "the leases to be renewed")
        assert rescue_silent(store, max_attempts=3).num_returned == 0

    slow = HookedScorer(before_scoring=outlive_the_lease)
    with desk(store, slow.load, lease_s=1, heartbeat_s=0.1) as worker:
        worker.leases.begin()
        report = worker.drain()
    assert (report.num_lost, report.num_shards) == (0, 6)


def test_after_farewell_what_was_claimed_is_ready_at_once(store: Store) -> None:
    submit_six(store)
    with desk(store) as worker:
        taken = claims.claim(
            store, worker_id=worker.leases.worker_id, scorer_id=1, budget_tokens=10**6, lease_s=60
        )
        assert len(taken) == 6
    assert states(store) == {"ready": 6}
    assert num_burned(store) == 0
    assert workers.workers(store) == []


def test_a_model_that_cannot_be_had_is_said_in_the_workers_row_and_tried_again_later(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    submit_six(store, scorer=ScorerSpec(model=str(tmp_path)))
    with desk(store, load_scorer, model=str(tmp_path)) as worker:
        with caplog.at_level(logging.ERROR):
            report = worker.drain()
        [row] = workers.workers(store)
        assert "has no config.json" in str(row.problem)
        assert report.problem == row.problem
        assert [record.msg for record in caplog.records] == ["model_problem"]
        assert worker.drain().problem == row.problem, "it is not tried again before its rest is over"
        assert len(caplog.records) == 1
        assert states(store) == {"ready": 6}

        worker.scorer_cache = ScorerCache(store, worker.leases, HookedScorer().load)
        worker.drain()
    assert states(store) == {"done": 6}


def test_a_problem_that_is_over_leaves_the_workers_row(store: Store) -> None:
    submit_six(store)
    problems = iter([MemoryError("no room")])

    def load(spec: ScorerSpec) -> HookedScorer:
        for problem in problems:
            raise problem
        return HookedScorer().load(spec)

    with desk(store, load) as worker:
        assert "MemoryError: no room" in str(worker.drain().problem)
        worker.scorer_cache._backoffs[1].until = 0.0  # its rest is over
        assert worker.drain().problem is None
        [row] = workers.workers(store)
        assert (row.problem, row.device) == (None, "cpu float32")


def test_other_weights_under_the_same_name_are_refused_before_anything_is_claimed(store: Store) -> None:
    submit_six(store)
    recorded = EngineFacts(
        weights_digest="f" * 64, tokenizer_digest="t" * 64, device="cpu", dtype="float32", program_version="0"
    )
    record_engine(store, 1, recorded)
    with desk(store) as worker:
        report = worker.drain()
    assert "the stored scores came from ffffffffffff" in str(report.problem)
    assert states(store) == {"ready": 6}
    assert num_burned(store) == 0
    assert SPEC.model == "null"


def test_a_problem_of_a_scorer_that_nobody_asks_for_any_more_leaves_the_workers_row(
    store: Store,
) -> None:
    asked_for = submit(store, scorer=CUTTING, document_texts=DOCUMENTS).job_id
    with desk(store, refusing(CUTTING)) as worker:
        assert "no room" in str(worker.drain().problem)
        assert "no room" in str(workers.workers(store)[0].problem)
        cancel_job(store, asked_for)
        assert worker.drain().problem is None
        assert workers.workers(store)[0].problem is None


def test_a_problem_of_one_scorer_does_not_stand_while_another_scores(store: Store) -> None:
    submit(store, key="cutting", scorer=CUTTING, document_texts=DOCUMENTS)
    submit_six(store)
    with desk(store, refusing(CUTTING)) as worker:
        worker.drain()
        assert states(store) == {"ready": 6, "done": 6}
        assert workers.workers(store)[0].problem is None


def refusing(refused: ScorerSpec) -> Callable[[ScorerSpec], HookedScorer]:
    def load(spec: ScorerSpec) -> HookedScorer:
        if spec == refused:
            raise MemoryError("no room")
        return HookedScorer()

    return load

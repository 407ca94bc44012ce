"""A claim costs the same however many shards and jobs wait: it looks along indexes and sorts nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from rankmill.db.queue.claims import num_ready
from rankmill.db.queue.fair_share import first_priorities
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.jobs.store_rows import count, execute

COLUMNS_OF_A_JOB = "scorer_id, state, priority, num_queries, num_documents, num_pairs, num_reused, num_shards"


def fill_with_ready_shards(store: Store, num_shards: int) -> None:
    """Many more ready shards than tests can submit, of job 1, behind which others wait."""
    series = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {num_shards})"
    execute(
        store,
        "INSERT INTO shards (job_id, scorer_id, first_pair, end_pair, num_pairs, num_tokens, "
        f"state, attempt) {series} SELECT 1, 1, 1000 + i, 1001 + i, 1, 10, 'ready', i % 2 FROM n",
    )


def seconds_of_a_claim(store: Store, worker: StandIn, job_id: int | None = None) -> float:
    started = time.perf_counter()
    assert len(worker.claim(budget_tokens=30, job_id=job_id)) >= 1
    return time.perf_counter() - started


def test_a_claim_among_100_000_ready_shards_is_as_quick_as_among_ten(store: Store) -> None:
    submit(store, key="large", document_texts=[str(n) for n in range(60)], pairs_per_shard=1)
    small = submit(store, key="small", document_texts=[f"other {n}" for n in range(60)], pairs_per_shard=1)
    worker = StandIn(store)
    among_few = min(seconds_of_a_claim(store, worker) for _ in range(10))
    fill_with_ready_shards(store, 100_000)
    assert count(store, "shards") > 100_000
    among_many = min(seconds_of_a_claim(store, worker) for _ in range(10))
    of_one_job = min(seconds_of_a_claim(store, worker, small.job_id) for _ in range(10))
    # Reading them all would take a hundred times longer, not five.
    assert among_many < 5 * among_few + 0.005
    assert of_one_job < 5 * among_few + 0.005


def fill_with_jobs(store: Store, num_jobs: int) -> None:
    """Many more jobs, each with one ready shard, behind whose turns others wait."""
    series = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {num_jobs})"
    execute(
        store,
        f"INSERT INTO jobs (key, {COLUMNS_OF_A_JOB}, created_at, turn) {series} "
        "SELECT 'many ' || i, 1, 'active', 1, 1, 1, 1, 0, 1, 1, 100 + i FROM n",
    )
    execute(
        store,
        "INSERT INTO shards (job_id, scorer_id, first_pair, end_pair, num_pairs, num_tokens, state) "
        "SELECT id, 1, 0, 1, 1, 10, 'ready' FROM jobs WHERE key LIKE 'many %'",
    )


def test_a_claim_among_5_000_jobs_is_as_quick_as_among_two(store: Store) -> None:
    submit(store, document_texts=[str(n) for n in range(60)], pairs_per_shard=1)
    worker = StandIn(store)
    among_few = min(seconds_of_a_claim(store, worker) for _ in range(10))
    fill_with_jobs(store, 5_000)
    assert num_ready(store, "null") > 5_000
    among_many = min(seconds_of_a_claim(store, worker) for _ in range(10))
    assert among_many < 5 * among_few + 0.005


@contextmanager
def noted(store: Store) -> Iterator[list[tuple[str, object]]]:
    """Every statement with its parameters."""
    statements: list[tuple[str, object]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        statements.append((statement, parameters))

    event.listen(store.engine, "before_cursor_execute", note)
    yield statements
    event.remove(store.engine, "before_cursor_execute", note)


def plan_of(store: Store, statement: str, parameters: object) -> str:
    explain = "EXPLAIN QUERY PLAN " if store.dialect == "sqlite" else "EXPLAIN "
    with store.reading() as connection:
        found = connection.exec_driver_sql(explain + statement, parameters)  # type: ignore[arg-type]
        return "\n".join(str(tuple(row)) for row in found)


@pytest.mark.parametrize("is_analyzed", [False, True])
@pytest.mark.parametrize("of_one_job", [False, True])
def test_a_claim_walks_indexes_and_sorts_nothing(store: Store, is_analyzed: bool, of_one_job: bool) -> None:
    job_id = submit(store).job_id
    suspected = submit(store, key="suspected", document_texts=["other"]).job_id
    execute(store, f"UPDATE shards SET attempt = 1 WHERE job_id = {suspected}")
    worker = StandIn(store)
    fill_with_ready_shards(store, 2_000)
    fill_with_jobs(store, 2_000)
    if is_analyzed:
        execute(store, "ANALYZE")
    with noted(store) as statements:
        fresh = worker.claim(job_id=job_id if of_one_job else None)
        execute(store, f"UPDATE jobs SET turn = -1 WHERE id = {suspected}")
        suspects = worker.claim(job_id=suspected if of_one_job else None)
    assert ({held.job_id for held in fresh}, {held.job_id for held in suspects}) == ({job_id}, {suspected})
    plans = {
        first_index: plan_of(store, statement, parameters)
        for first_index, words in (
            ("ix_jobs_turns" if not of_one_job else "jobs", "SELECT jobs.id, jobs.priority"),
            ("ix_shards_fresh", "SELECT shards.id, shards.num_tokens"),
            ("ix_shards_suspect", "SELECT shards.id \n"),
        )
        for statement, parameters in [next(one for one in statements if one[0].startswith(words))]
    }
    if store.dialect == "sqlite" and is_analyzed:  # it may sort the few shards that an average job has
        del plans["ix_shards_suspect"]
    for index, plan in plans.items():
        assert index in plan, plan
        assert "TEMP B-TREE" not in plan, plan
        if not (of_one_job and index == "jobs"):  # one row is quickly sorted
            assert "Sort" not in plan, plan
    turns = next(iter(plans.values()))
    assert "Seq Scan on shards" not in turns, turns
    assert "SCAN shards" not in turns, turns


def test_looking_for_what_is_urgent_reads_one_job_of_each_scorer(store: Store) -> None:
    submit(store)
    fill_with_jobs(store, 2_000)
    execute(store, "ANALYZE")
    with noted(store) as statements:
        assert first_priorities(store, "null") == {1: 1}
    [(statement, parameters)] = [one for one in statements if "first_job" in one[0]]
    plan = plan_of(store, statement, parameters)
    assert "ix_jobs_turns" in plan, plan
    assert "Seq Scan on shards" not in plan, plan
    assert "SCAN shards" not in plan, plan

"""What the store refuses counts against no pair: the worker rests and says so, or the shard is set aside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import select

from rankmill.db.errors import WrongResult
from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue.workers import workers
from rankmill.db.records.jobs import JobState, Priority
from rankmill.db.records.pairs import PairResults
from rankmill.db.records.shards import Claim
from rankmill.db.results.ranked import ranked_results
from rankmill.db.schema.jobs import job_documents
from rankmill.db.schema.texts_and_scores import texts
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.worker.drain import store_trouble
from rankmill.worker.drain.store_trouble import StoreTrouble, Verdict
from rankmill.worker.scorer.protocol import Prepared
from tests.support.jobs.drains import Desk, desk, logits, num_burned, states
from tests.support.jobs.scorers import HookedScorer
from tests.support.jobs.small_jobs import submit
from tests.support.jobs.store_rows import rows
from tests.support.servers import refusing
from tests.support.servers.refusing import WORDS, execute_outside, spoil_text

QUERIES = ["who pays", "when does it end"]


DOCUMENTS = [f"clause {number} of the contract" for number in range(8)]


def submit_eight(store: Store, **request: object) -> int:
    """16 pairs in 4 shards of two documents each."""
    return submit(
        store,
        query_texts=QUERIES,
        document_texts=DOCUMENTS,
        pairs_per_shard=4,
        **request,  # type: ignore[arg-type]
    ).job_id


def text_id(store: Store, document: int) -> int:
    with store.reading() as connection:
        asked = select(job_documents.c.text_id).join(texts, texts.c.id == job_documents.c.text_id)
        found: int = connection.execute(asked.where(texts.c.content == DOCUMENTS[document])).scalar_one()
    return found


def end_rests(worker: Desk) -> None:
    """As if every rest had gone by."""
    worker.trouble._rest.until = 0.0
    for refused in worker.trouble._refused.values():
        refused.rest.until = 0.0 + refused.since  # over, and not forgotten


@contextmanager
def missing(store: Store, table: str) -> Iterator[None]:
    execute_outside(store, f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        yield
    finally:
        execute_outside(store, f"ALTER TABLE {table}_away RENAME TO {table}")


@contextmanager
def refusing_updates(store: Store, table: str) -> Iterator[None]:
    with refusing.refusing(store, table, verb="UPDATE"):
        yield


REFUSALS: dict[str, Callable[[Store], object]] = {
    "no score is taken": lambda store: refusing.refusing(store, "scores"),
    "texts are away": lambda store: missing(store, "texts"),
    "pairs are away": lambda store: missing(store, "pairs"),
    "scores are away": lambda store: missing(store, "scores"),
    "no shard is changed": lambda store: refusing_updates(store, "shards"),
    "no shard may end": lambda store: refusing.refusing(
        store, "shards", "NEW.state = 'done'", verb="UPDATE OF state"
    ),
    "no job is changed": lambda store: refusing_updates(store, "jobs"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_a_store_refuses_altogether_costs_no_attempt_and_the_worker_goes_on_afterwards(
    store: Store, refusal: str
) -> None:
    job_id = submit_eight(store)
    with desk(store, HookedScorer(claim_tokens=1).load) as worker:
        with REFUSALS[refusal](store):  # type: ignore[attr-defined]
            problems = []
            for _ in range(5):
                problems.append(worker.drain().problem)
                end_rests(worker)
            assert all("refused a statement" in str(problem) for problem in problems), problems
            [row] = workers(store)
            assert row.problem == problems[-1], "the worker's row says what keeps it from working"
        assert worker.trouble._rest.seconds == 80, "it rests twice as long each time"
        assert num_burned(store) == 0
        assert worker.drain().problem is None
        [row] = workers(store)
        assert row.problem is None
    assert states(store) == {"done": 4}
    assert (job_progress(store, job_id).num_failed, len(logits(store, job_id))) == (0, 16)


def test_while_it_rests_a_worker_asks_the_store_for_nothing(store: Store) -> None:
    submit_eight(store)
    with desk(store, HookedScorer(claim_tokens=1).load) as worker, refusing.refusing(store, "scores"):
        problem = worker.drain().problem
        attempts = [row["attempt"] for row in rows(store, "shards")]
        assert worker.drain().problem == problem
        assert [row["attempt"] for row in rows(store, "shards")] == attempts
        assert WORDS in str(problem)


def test_a_user_whose_right_to_write_was_taken_rests_and_goes_on_when_it_is_given_back(
    postgres_url: str,
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE clerk LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk")
        connection.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk")
    try:
        with open_store(postgres_url.replace("postgres@", "clerk@")) as store:
            submit_eight(store)
            with desk(store, HookedScorer(claim_tokens=1).load) as worker:
                execute_outside(store_of(postgres_url), "REVOKE INSERT ON scores FROM clerk")
                assert "cannot be written" in str(worker.drain().problem)
                assert "cannot be written" in str(workers(store)[0].problem)
                execute_outside(store_of(postgres_url), "GRANT INSERT ON scores TO clerk")
                end_rests(worker)
                assert worker.drain().problem is None
            assert (states(store), num_burned(store)) == ({"done": 4}, 0)
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP OWNED BY clerk")
            connection.execute("DROP ROLE clerk")


def store_of(url: str) -> Store:
    return open_store(url)


@contextmanager
def one_bad_score(store: Store) -> Iterator[None]:
    with refusing.refusing(store, "scores", f"NEW.document_text_id = {text_id(store, 3)}"):
        yield


@contextmanager
def one_bad_text(store: Store) -> Iterator[None]:
    spoil_text(store, text_id(store, 3))
    yield


BAD_ROWS: dict[str, Callable[[Store], object]] = {"score": one_bad_score, "text": one_bad_text}
WHY = {"score": f"the store refuses its score: {WORDS}", "text": "its text cannot be read from the store: "}


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_one_row_that_the_store_refuses_holds_up_no_other_and_is_tried_for_long(
    store: Store, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_trouble, "MIN_REFUSED_S", 0.0)
    job_id = submit_eight(store)
    with BAD_ROWS[bad](store), desk(store, HookedScorer().load) as worker:  # type: ignore[attr-defined]
        for number in range(1, store_trouble.MIN_REFUSALS):
            report = worker.drain()
            assert (report.problem, states(store)) == (None, {"done": 3, "ready": 1}), number
            assert report.num_released == 1, number
            assert worker.drain().line() == "nothing was ready", "a shard that is set aside is not claimed"
            end_rests(worker)
        assert num_burned(store) == 0
        assert workers(store)[0].problem is None
        [waiting] = [row for row in rows(store, "shards") if row["state"] == "ready"]
        assert waiting["reason"] is not None
        worker.drain()
    assert (states(store), num_burned(store)) == ({"done": 4}, 0)
    assert job_progress(store, job_id).state is JobState.DONE
    failed = {row.document_id: row.error for row in ranked_results(store, job_id) if row.error}
    assert list(failed) == ["d4"], "its sibling in the shard is scored"
    assert str(failed["d4"]).startswith(WHY[bad])
    assert job_progress(store, job_id).num_failed == 2


def test_pairs_are_not_given_up_before_the_time_is_over(store: Store) -> None:
    submit_eight(store)
    with one_bad_score(store), desk(store, HookedScorer().load) as worker:
        for _ in range(store_trouble.MIN_REFUSALS + 2):
            worker.drain()
            end_rests(worker)
        assert states(store) == {"done": 3, "ready": 1}
    with desk(store, HookedScorer().load) as worker:
        worker.drain()
    assert (states(store), num_burned(store)) == ({"done": 4}, 0), "and all of it lands when that is over"


def test_other_pairs_refused_each_time_are_the_stores_trouble_and_none_is_given_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_trouble, "MIN_REFUSED_S", 0.0)
    submit_eight(store)
    with desk(store, HookedScorer().load) as worker:
        problems = []
        for number in range(12):
            bad = f"NEW.document_text_id = {text_id(store, number % 2)}"
            with refusing.refusing(store, "scores", bad):
                problems.append(worker.drain().problem)
            end_rests(worker)
        assert any(problem is not None for problem in problems)
        assert worker.drain().problem is None
    assert (states(store), num_burned(store)) == ({"done": 4}, 0)


def test_more_shards_refused_than_exceptions_can_be_are_the_stores_trouble(store: Store) -> None:
    with desk(store) as worker:
        trouble = StoreTrouble(worker.leases)

        def judge(shard_id: int) -> Verdict:
            claim = Claim(
                shard_id=shard_id,
                job_id=1,
                worker_id=1,
                attempt=1,
                first_pair=0,
                end_pair=1,
                num_pairs=1,
                num_tokens=1,
            )
            return trouble.judge(claim, [(1, shard_id)])  # type: ignore[list-item]

        verdicts = [judge(shard_id) for shard_id in range(store_trouble.MAX_SET_ASIDE + 1)]
        assert set(verdicts[:-1]) == {Verdict.SET_ASIDE}
        assert verdicts[-1] is Verdict.STORE_TROUBLE
        assert len(trouble.resting_shards()) == store_trouble.MAX_SET_ASIDE


def test_a_shard_set_aside_of_an_urgent_job_does_not_hold_up_a_less_urgent_one(store: Store) -> None:
    submit_eight(store, priority=Priority.HIGH)
    with one_bad_score(store), desk(store, HookedScorer(claim_tokens=1).load) as worker:
        worker.drain()
        assert states(store) == {"done": 3, "ready": 1}
        calm = submit(store, key="calm", priority=Priority.LOW).job_id
        report = worker.drain()
        assert (report.problem, report.num_shards) == (None, 3)
        assert job_progress(store, calm).state is JobState.DONE


def test_a_result_that_is_none_is_the_scorers_fault_and_counts(store: Store) -> None:
    class Overflowing(HookedScorer):
        def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
            [results] = super().score(prepared, should_stop)
            scores = [score._replace(logit=1e39) for score in results.scores]
            return [PairResults(scores=scores, failures=[], num_tokens=1)]

    job_id = submit(store, query_texts=["q"], document_texts=["d"]).job_id
    with desk(store, Overflowing().load) as worker:
        for _ in range(3):
            worker.drain()
            worker.scorer_cache._backoffs.clear()
    [row] = ranked_results(store, job_id)
    assert "is not a float32" in str(row.error)
    assert WrongResult.__mro__[1] is ValueError

"""Jobs: one per request, found by id or name, and where they stand adds up at every moment."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from rankmill.db.errors import NameTaken, UnknownJob
from rankmill.db.jobs.amend import amend
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.find import find_job, find_job_by_key
from rankmill.db.jobs.progress import job_progress, list_job_progress
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.claims import fail
from rankmill.db.queue.landing import complete
from rankmill.db.records.jobs import JobProgress, JobState, Priority, Submission
from rankmill.db.records.pairs import PairFailure
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.records.shards import ShardResult
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import SPEC, StandIn, submit
from tests.support.jobs.store_rows import count, rows, states


def test_the_same_key_is_the_same_job(store: Store) -> None:
    first = submit(store, key="k", name="name")
    again = submit(store, key="k", name="another name")
    assert again == Submission(
        job_id=first.job_id,
        is_new=False,
        num_queries=2,
        num_documents=3,
        num_pairs=6,
        num_reused=0,
        num_shards=3,
    )
    assert (count(store, "jobs"), count(store, "pairs")) == (1, 6)
    assert find_job_by_key(store, "k") == first.job_id
    assert find_job_by_key(store, "unheard of") is None


def test_the_same_job_submitted_by_several_at_once_is_one_job(store: Store) -> None:
    together = threading.Barrier(3)

    def ask(_: int) -> Submission:
        together.wait()
        return submit(store, key="k", name="n")

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(ask, range(3)))
    assert len({submission.job_id for submission in found}) == 1
    assert sorted(submission.is_new for submission in found) == [False, False, True]
    assert (count(store, "jobs"), count(store, "shards")) == (1, 3)


def test_a_done_job_gives_its_name_to_the_newest_that_asks_for_it(store: Store) -> None:
    last_night = submit(store, key="one", name="nightly")
    StandIn(store).drain()
    tonight = submit(store, key="two", name="nightly", document_texts=["another"])
    assert (tonight.is_new, find_job(store, "nightly")) == (True, tonight.job_id)
    (said,) = amend(store, last_night.job_id, name="nightly")
    assert f"Job {tonight.job_id} is newer and also named 'nightly'" in said


def test_a_recorded_job_is_given_what_is_asked_for_later(store: Store) -> None:
    job_id = submit(store, priority=Priority.LOW).job_id
    assert amend(store, job_id) == []
    assert amend(store, job_id, name="n", priority=Priority.HIGH, top_k=3, min_score=0.5) == []
    assert find_job(store, "n") == job_id
    (row,) = rows(store, "jobs")
    assert (row["priority"], row["top_k"], row["min_score"]) == (0, 3, 0.5)
    assert amend(store, job_id, name="n", top_k=4) == []
    assert job_progress(store, job_id).top_k == 4


def test_a_recorded_job_keeps_its_name_and_takes_none_from_another(store: Store) -> None:
    first, second = submit(store, key="one", name="n"), submit(store, key="two")
    assert "is already named 'n': --name m is ignored." in amend(store, first.job_id, name="m")[0]
    assert f"Job {first.job_id} is already named 'n'" in amend(store, second.job_id, name="n")[0]
    assert [row["name"] for row in rows(store, "jobs")] == ["n", None]


def test_a_name_belongs_to_one_job(store: Store) -> None:
    first = submit(store, key="one", name="nightly")
    with pytest.raises(NameTaken, match=rf"Job {first.job_id} is already named 'nightly'"):
        submit(store, key="two", name="nightly")
    assert count(store, "jobs") == 1
    assert submit(store, key="two", name="other").is_new


def test_jobs_without_a_name_do_not_stand_in_each_other_s_way(store: Store) -> None:
    assert [submit(store, key=key).is_new for key in ("a", "b", "c")] == [True] * 3


def test_a_cancelled_job_gives_its_key_and_name_free(store: Store) -> None:
    first = submit(store, key="k", name="n")
    cancel_job(store, first.job_id)
    assert find_job_by_key(store, "k") is None
    assert find_job(store, "n") == first.job_id
    again = submit(store, key="k", name="n")
    assert again.is_new
    assert (find_job_by_key(store, "k"), find_job(store, "n")) == (again.job_id, again.job_id)


def test_a_job_is_found_by_id_or_name(store: Store) -> None:
    first = submit(store, key="1", name="nightly")
    second = submit(store, key="2", name=str(first.job_id))
    assert [find_job(store, job) for job in (first.job_id, str(first.job_id), "nightly")] == [
        first.job_id
    ] * 3
    assert second.job_id != first.job_id


@pytest.mark.parametrize("job", [99, "99", "nobody", "", "nul\0", "\udcff", "9" * 30, "٣", -1])
def test_an_unknown_job_is_an_error(store: Store, job: str | int) -> None:
    with pytest.raises(UnknownJob, match="rankmill status"):
        find_job(store, job)


def test_where_an_unknown_job_stands_is_an_error(store: Store) -> None:
    for ask in (job_progress, cancel_job):
        with pytest.raises(UnknownJob):
            ask(store, 99)


def adds_up(found: JobProgress) -> bool:
    parts = (found.num_reused, found.num_scored, found.num_failed, found.num_waiting, found.num_claimed)
    return sum(parts) == found.num_pairs


def test_progress_adds_up_at_every_moment(store: Store) -> None:
    submit(store, key="earlier", document_texts=["one"])
    StandIn(store).drain()
    job_id = submit(
        store,
        query_texts=["first question", "second question"],
        document_texts=["one", "two", "three", "four"],
        pairs_per_shard=1,
    ).job_id
    worker = StandIn(store)
    seen: list[tuple[int, ...]] = []

    def look() -> None:
        found = job_progress(store, job_id)
        assert adds_up(found), found
        seen.append(
            (found.num_reused, found.num_scored, found.num_failed, found.num_claimed, found.num_waiting)
        )

    look()
    first, second, third = (worker.claim()[0] for _ in range(3))
    look()
    worker.complete([first])
    look()
    fail(store, second, "poison", max_attempts=1)
    look()
    worker.complete([third])
    cancel_job(store, job_id)
    look()
    assert seen == [(2, 0, 0, 0, 6), (2, 0, 0, 3, 3), (2, 1, 0, 2, 3), (2, 1, 1, 1, 3), (2, 2, 4, 0, 0)]


def test_progress_tells_what_was_asked(store: Store) -> None:
    spec = ScorerSpec(model="m", revision="r", max_length=512, stride=3)
    job_id = submit(store, name="n", scorer=spec, top_k=5, min_score=0.25, priority=Priority.LOW).job_id
    found = job_progress(store, job_id)
    assert (found.name, found.scorer, found.top_k, found.min_score) == ("n", spec, 5, 0.25)
    assert (found.state, found.num_shards, found.num_dead_shards) == (JobState.ACTIVE, 3, 0)
    assert found.finished_at is None
    assert 0 <= found.now - found.created_at < 60


def test_jobs_are_listed_newest_first(store: Store) -> None:
    for key in "abc":
        submit(store, key=key, name=key)
    assert [job.name for job in list_job_progress(store)] == ["c", "b", "a"]
    assert [job.name for job in list_job_progress(store, limit=2)] == ["c", "b"]


def test_cancelling_stops_what_is_open_and_keeps_what_is_done(store: Store) -> None:
    job_id = submit(store).job_id
    worker = StandIn(store)
    worker.complete(worker.claim())
    (held,) = worker.claim()
    assert cancel_job(store, job_id) == 2
    assert (states(store), job_progress(store, job_id).state) == (
        ["done", "cancelled", "cancelled"],
        JobState.CANCELLED,
    )
    assert worker.complete([held]) == set()
    assert cancel_job(store, job_id) == 0
    assert job_progress(store, job_id).state is JobState.CANCELLED


def test_a_job_that_is_done_cannot_be_cancelled(store: Store) -> None:
    job_id = submit(store).job_id
    StandIn(store).drain()
    assert cancel_job(store, job_id) == 0
    assert job_progress(store, job_id).state is JobState.DONE


def test_a_scored_pair_is_not_scored_again_by_the_next_job(store: Store) -> None:
    submit(store, key="last night")
    StandIn(store).drain()
    tonight = submit(store, key="tonight", document_texts=["one", "changed", "three"])
    assert (tonight.num_pairs, tonight.num_reused, tonight.num_shards) == (6, 4, 1)
    assert StandIn(store).drain() == 1
    assert count(store, "scores") == 8
    found = job_progress(store, tonight.job_id)
    assert (found.state, found.num_scored, found.num_reused) == (JobState.DONE, 2, 4)


def test_a_job_with_nothing_left_to_score_is_born_done(store: Store) -> None:
    submit(store, key="last night")
    StandIn(store).drain()
    tonight = submit(store, key="tonight")
    assert (tonight.num_reused, tonight.num_shards) == (6, 0)
    found = job_progress(store, tonight.job_id)
    assert (found.state, found.finished_at is None) == (JobState.DONE, False)


def test_another_scorer_reuses_nothing(store: Store) -> None:
    submit(store, key="one")
    StandIn(store).drain()
    assert submit(store, key="two", scorer=ScorerSpec(model="null", max_length=64)).num_reused == 0
    assert submit(store, key="three", scorer=SPEC).num_reused == 6


def test_what_another_job_scored_is_not_failed_here(store: Store) -> None:
    """Whatever a job gave up (failed, dead, cancelled), counts, view and results tell the same of it."""
    texts = ["one", "two", "three", "four"]
    job_id = submit(store, query_texts=["q"], document_texts=texts, pairs_per_shard=1).job_id
    worker = StandIn(store)
    first, second, third = (worker.claim()[0] for _ in range(3))
    (pair,) = load(store, first).pairs
    complete(
        store,
        worker.engine_id,
        [ShardResult(claim=first, scores=[], failures=[PairFailure(*pair, "too long")], num_tokens=0)],
    )
    fail(store, second, "poison", max_attempts=1)
    worker.complete([third])
    cancel_job(store, job_id)
    assert counts(store, job_id) == (1, 3)
    for document, expected in (("one", (2, 2)), ("two", (3, 1)), ("four", (4, 0))):
        submit(store, key=document, query_texts=["q"], document_texts=[document])
        worker.drain()
        assert counts(store, job_id) == expected


def test_a_pair_given_up_has_the_score_of_a_pair_with_the_same_texts(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["same", "same"], pairs_per_shard=1).job_id
    worker = StandIn(store)
    fail(store, worker.claim()[0], "poison", max_attempts=1)
    assert counts(store, job_id) == (0, 1)
    worker.drain()
    assert counts(store, job_id) == (2, 0)


def counts(store: Store, job_id: int) -> tuple[int, int]:
    """How many pairs are scored and failed: by progress, by the view and in the results alike."""
    found = job_progress(store, job_id)
    assert adds_up(found), found
    asked = text("SELECT num_scored, num_failed FROM job_progress WHERE job_id = :job")
    with store.reading() as connection:
        viewed = tuple(connection.execute(asked, {"job": job_id}).one())
    shown = [row.rank is not None for row in ranked_results(store, job_id)]
    assert viewed == (found.num_scored, found.num_failed) == (sum(shown), len(shown) - sum(shown))
    assert [(job.num_scored, job.num_failed) for job in list_job_progress(store) if job.job_id == job_id] == [
        viewed
    ]
    return found.num_scored, found.num_failed


def test_the_progress_view_says_what_the_program_says(store: Store) -> None:
    job_id = submit(store, name="n", pairs_per_shard=1).job_id
    worker = StandIn(store)
    worker.complete(worker.claim())
    fail(store, worker.claim()[0], "poison", max_attempts=1)
    worker.claim()
    expected = job_progress(store, job_id)
    with store.reading() as connection:
        row = connection.execute(text("SELECT * FROM job_progress")).mappings().one()
    for field in row:
        if field not in {"scorer_id", "model"}:
            assert row[field] == getattr(expected, field), field
    assert row["model"] == "null"

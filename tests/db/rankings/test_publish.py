"""Publication: a job that ends becomes its ranking's state in one step, by policy; older ones come back."""

import pytest
from sqlalchemy import text

from rankmill.db.errors import NothingToRollBackTo, UnknownRanking
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.retry import retry_failed
from rankmill.db.rankings.catalog import find, publications_of, remove, set_tolerances
from rankmill.db.rankings.deliveries import find_or_begin
from rankmill.db.rankings.publish import jobs_to_keep, publish_due, roll_back
from rankmill.db.records.rankings import PublishPolicy
from rankmill.db.store.store import Store
from tests.support.jobs.rankings import BROKEN, follow, latest, night, score_all, submit_night
from tests.support.jobs.store_rows import count, execute, rows

LATE = "a job that was asked for later was published before"
MONDAY = {"d1": "1 one", "d2": "2 two", "d3": "3 three"}
TUESDAY = {"d1": "1 one", "d2": "9 two", "d4": "4 four"}


def counts(store: Store) -> list[tuple[int, int, int]]:
    return [
        (made.num_added, made.num_changed, made.num_removed)
        for made in reversed(publications_of(store, find(store, "kb").ranking_id))
    ]


def test_a_ranking_is_empty_until_a_job_of_it_ends_and_then_shows_all_of_it(store: Store) -> None:
    submit_night(store, "monday", MONDAY)
    assert (publish_due(store), latest(store)) == ([], {})
    score_all(store)
    assert latest(store) == {}
    (published,) = publish_due(store)
    assert (published.num_pairs, published.num_added, published.last_cursor) == (6, 6, 6)
    assert publish_due(store) == []
    assert latest(store)["q1", "d3"] == (1, 3.078125)
    assert [rank for (_, document), (rank, _) in latest(store).items() if document == "d1"] == [3, 3]


def test_the_next_night_replaces_it_and_the_feed_tells_only_the_difference(store: Store) -> None:
    night(store, "monday", MONDAY)
    state: dict[tuple[str, str], tuple[object, ...]] = {}
    cursor = follow(store, state, 0)
    assert state == latest(store)
    night(store, "tuesday", TUESDAY)
    assert counts(store) == [(6, 0, 0), (2, 2, 2)]
    assert latest(store).keys() == {(query, document) for query in ("q1", "q2") for document in TUESDAY}
    told = follow(store, state, cursor)
    assert (state, told) == (latest(store), cursor + 6)
    assert count(store, "published_results") == 8  # a row for each pair there ever was


def test_a_reader_from_the_beginning_gets_what_stands_whatever_was_before(store: Store) -> None:
    for number, corpus in enumerate((MONDAY, TUESDAY, MONDAY, {"d9": "9"}, TUESDAY)):
        night(store, f"night {number}", corpus)
    state: dict[tuple[str, str], tuple[object, ...]] = {}
    assert follow(store, state, 0) == find(store, "kb").last_cursor
    assert state == latest(store)


def test_a_night_without_a_difference_is_a_publication_without_changes(sqlite_store: Store) -> None:
    night(sqlite_store, "monday", MONDAY)
    night(sqlite_store, "tuesday", MONDAY)
    assert counts(sqlite_store) == [(6, 0, 0), (0, 0, 0)]


def test_the_same_job_asked_again_is_published_again_only_when_another_stands(store: Store) -> None:
    first = night(store, "monday", MONDAY)
    assert night(store, "monday", MONDAY) == first
    assert counts(store) == [(6, 0, 0)]
    night(store, "tuesday", TUESDAY)
    assert night(store, "monday", MONDAY) == first
    assert counts(store) == [(6, 0, 0), (2, 2, 2), (2, 2, 2)]


def test_only_what_the_job_shows_is_published(store: Store) -> None:
    night(store, "monday", MONDAY, top_k=2, min_score=0.95)
    assert sorted(latest(store)) == [("q1", "d3"), ("q2", "d3")]
    night(store, "tuesday", MONDAY, top_k=2)
    assert sorted(latest(store)) == [("q1", "d2"), ("q1", "d3"), ("q2", "d2"), ("q2", "d3")]


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        (PublishPolicy.ALL, {("q1", "d1"): (1, 1.078125), ("q1", "d2"): (None, "it is broken")}),
        (PublishPolicy.WITHOUT_FAILED, {("q1", "d1"): (1, 1.078125)}),
        (PublishPolicy.NEVER, {}),
    ],
)
def test_a_job_with_failed_pairs_is_published_as_its_policy_says(
    store: Store, policy: PublishPolicy, shown: dict[tuple[str, str], tuple[object, ...]]
) -> None:
    night(store, "monday", {"d1": "1", "d2": BROKEN}, queries={"q1": "first"}, policy=policy)
    assert latest(store) == shown
    (asked,) = rows(store, "publish_requests")
    assert asked["reason"] == (None if shown else "1 of its pairs failed")
    assert asked["settled_for"] is not None


def test_a_cancelled_job_is_not_published(sqlite_store: Store) -> None:
    cancel_job(sqlite_store, submit_night(sqlite_store, "monday", MONDAY))
    assert publish_due(sqlite_store) == []
    assert rows(sqlite_store, "publish_requests")[0]["reason"] == "it was cancelled"


def test_a_job_that_ends_after_a_later_one_does_not_take_its_place(store: Store) -> None:
    early = submit_night(store, "monday", MONDAY)
    later = submit_night(store, "tuesday", TUESDAY)
    score_all(store)
    publish_due(store, later)
    assert publish_due(store, early) == []
    assert rows(store, "publish_requests")[0]["reason"] == LATE
    assert {document for _, document in latest(store)} == set(TUESDAY)


def test_a_job_whose_failed_pairs_are_tried_again_is_published_again(store: Store) -> None:
    job_id = night(store, "monday", {"d1": "1", "d2": BROKEN}, queries={"q1": "first"})
    execute(store, "UPDATE texts SET content = '5' WHERE content = 'broken'")
    assert retry_failed(store, job_id).num_pairs == 1
    score_all(store)
    (again,) = publish_due(store)
    assert (again.num_added, again.num_changed) == (1, 1)  # d1 falls to the second rank
    assert latest(store)["q1", "d2"] == (1, 5.078125)
    assert roll_back(store, "kb").num_removed == 1  # as it was, without the score that came later
    assert latest(store) == {("q1", "d1"): (1, 1.078125)}


def test_rolling_back_brings_the_older_state_and_the_feed_tells_it(store: Store) -> None:
    night(store, "monday", MONDAY)
    monday = latest(store)
    night(store, "tuesday", TUESDAY)
    state: dict[tuple[str, str], tuple[object, ...]] = {}
    cursor = follow(store, state, 0)
    rolled = roll_back(store, "kb")
    assert (rolled.restored_id, latest(store)) == (1, monday)
    assert follow(store, state, cursor) > cursor
    assert state == monday
    with pytest.raises(NothingToRollBackTo, match="no older publication"):
        roll_back(store, "kb")
    assert roll_back(store, "kb", 2).restored_id == 2
    assert {document for _, document in latest(store)} == set(TUESDAY)


def test_rolling_back_twice_goes_back_twice(sqlite_store: Store) -> None:
    nights = [{"d1": f"{number}"} for number in range(4)]
    for number, corpus in enumerate(nights):
        night(sqlite_store, f"night {number}", corpus, queries={"q1": "q"})
    assert [roll_back(sqlite_store, "kb").restored_id for _ in range(3)] == [3, 2, 1]
    assert latest(sqlite_store)["q1", "d1"] == (1, 1 / 64)


def test_the_night_after_a_rollback_is_published_as_ever(sqlite_store: Store) -> None:
    night(sqlite_store, "monday", MONDAY)
    night(sqlite_store, "tuesday", TUESDAY)
    roll_back(sqlite_store, "kb")
    night(sqlite_store, "wednesday", {"d7": "7"})
    assert {document for _, document in latest(sqlite_store)} == {"d7"}


def test_as_many_publications_are_kept_as_asked_and_their_jobs_with_them(store: Store) -> None:
    jobs = [night(store, f"night {number}", {"d1": f"{number}"}, keep=2) for number in range(4)]
    waiting = submit_night(store, "tomorrow", MONDAY)
    assert [made.job_id for made in publications_of(store, find(store, "kb").ranking_id)] == [
        jobs[3],
        jobs[2],
    ]
    with store.reading() as connection:
        assert jobs_to_keep(connection) == {jobs[3], jobs[2], waiting}
    with pytest.raises(NothingToRollBackTo, match="no publication 1"):
        roll_back(store, "kb", 1)


def test_an_unknown_ranking_is_named(sqlite_store: Store) -> None:
    with pytest.raises(UnknownRanking, match="'nowhere'"):
        roll_back(sqlite_store, "nowhere")


def test_within_the_tolerance_readers_see_tonight_and_the_feed_is_silent(store: Store) -> None:
    night(store, "one", {"d1": "0.0 a", "d2": "0.5 b"}, queries={"q1": ""})
    set_tolerances(store, find(store, "kb").ranking_id, score=0.1, rank=1)
    for number, logit in enumerate(("0.2 a", "0.3 a", "0.6 a")):
        night(store, f"more {number}", {"d1": logit, "d2": "0.5 b"}, queries={"q1": ""})
    # 0.15 of score since it was told, in steps that are each below the tolerance
    assert counts(store)[1:] == [(0, 0, 0), (0, 0, 0), (0, 1, 0)]
    night(store, "last", {"d1": "0.7 a", "d2": "0.5 b"}, queries={"q1": ""})
    assert latest(store)["q1", "d1"] == (1, pytest.approx(0.7))
    state: dict[tuple[str, str], tuple[object, ...]] = {}
    follow(store, state, 0)
    assert state == {("q1", "d1"): (1, pytest.approx(0.6)), ("q1", "d2"): (1, 0.5)}


def test_rankings_are_apart(sqlite_store: Store) -> None:
    night(sqlite_store, "monday", MONDAY)
    night(sqlite_store, "other", TUESDAY, ranking="other")
    assert {document for _, document in latest(sqlite_store)} == set(MONDAY)
    assert {document for _, document in latest(sqlite_store, "other")} == set(TUESDAY)


def test_ids_of_any_length_are_published(store: Store) -> None:
    long = "x" * 9_000
    night(store, "monday", {f"d{long}": "1"}, queries={f"q{long}": "first"})
    assert list(latest(store)) == [(f"q{long}", f"d{long}")]


def test_one_query_of_a_ranking_is_found_by_an_index(store: Store) -> None:
    night(store, "monday", {f"d{number}": f"{number}" for number in range(200)})
    asked = "SELECT * FROM latest_results WHERE ranking = 'kb' AND query_id = 'q1'"
    with store.reading() as connection:
        if store.dialect == "sqlite":
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {asked}")).all()
        else:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            plan = connection.execute(text(f"EXPLAIN {asked}")).all()
    assert "published_results_" in str(plan)
    assert "pk_published_results" not in str(plan)


def test_a_ranking_is_removed_with_all_that_is_its_own_and_its_jobs_stay(store: Store) -> None:
    job_id = night(store, "monday", MONDAY)
    night(store, "other", TUESDAY, ranking="other")
    submit_night(store, "tomorrow", {"d8": "8"})
    find_or_begin(store, find(store, "kb").ranking_id, "folder /somewhere")
    remove(store, find(store, "kb").ranking_id)
    score_all(store)
    assert publish_due(store) == []
    for table in ("rankings", "publications", "publish_requests"):
        assert count(store, table) == 1, table
    assert (count(store, "deliveries"), latest(store), len(latest(store, "other"))) == (0, {}, 6)
    with store.reading() as connection:
        assert job_id not in jobs_to_keep(connection)
    night(store, "monday", MONDAY)  # and the name may be used again
    assert len(latest(store)) == 6

"""Publications of several processes at once, and of ones that are killed: readers never see half of one."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from sqlalchemy import text

from rankmill.db.rankings import publish
from rankmill.db.rankings.catalog import find
from rankmill.db.rankings.diff import compare
from rankmill.db.rankings.feed import changes
from rankmill.db.rankings.publish import publish_due, roll_back
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from tests.support.jobs.rankings import follow, latest, night, score_all, submit_night
from tests.support.jobs.store_rows import count
from tests.support.processes.other_process import other_process
from tests.support.waiting import wait_until

MONDAY = {f"d{number}": f"{number}" for number in range(1, 6)}
TUESDAY = {f"d{number}": f"{number + 1}" for number in range(3, 8)}

DYING = """
import sys
from rankmill.db.rankings import publish
from rankmill.db.store.opening import open_store
from rankmill.db.rankings.publish import publish_due

def reach(point):
    if point == sys.argv[2]:
        print("ready", flush=True)
        sys.stdin.read()

publish.reach = reach
publish_due(open_store(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("point", "is_published"), [("before_publication_commit", False), ("after_publication_commit", True)]
)
def test_killed_around_the_commit_all_of_it_is_there_or_nothing(
    store: Store, store_url: str, point: str, is_published: bool
) -> None:
    night(store, "monday", MONDAY)
    before = latest(store)
    submit_night(store, "tuesday", TUESDAY)
    score_all(store)
    with other_process(DYING, store_url, point) as process:
        process.kill()
        process.wait()
        seen = latest(store)
    assert (seen == before) is not is_published
    publish_due(store)  # as a rescue round does
    assert {document for _, document in latest(store)} == set(TUESDAY)
    assert count(store, "publications") == 2
    state: dict[tuple[str, str], tuple[object, ...]] = {}
    follow(store, state, 0)
    assert state == latest(store)


def test_two_interleaved_publishers_give_out_cursors_in_the_order_of_their_commits(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trap: one takes cursors and commits last; who read the other's would never see them.

    Both have compared with the same state before either publishes.
    """
    has_compared, may_publish, is_waiting, may_commit = Event(), Event(), Event(), Event()

    def reach(point: str) -> None:
        if point == "before_publication_commit" and not is_waiting.is_set():
            is_waiting.set()
            assert may_commit.wait(60)

    def compare_and_wait(*arguments: Any, **settings: Any) -> Any:
        compared = compare(*arguments, **settings)
        if not has_compared.is_set():
            has_compared.set()
            assert may_publish.wait(60)
        return compared

    opened = open_store(postgres_url), open_store(postgres_url)
    with opened[0] as store, opened[1] as other, ThreadPoolExecutor(2) as threads:
        night(store, "monday", MONDAY)
        night(store, "tuesday", TUESDAY)
        state: dict[tuple[str, str], tuple[object, ...]] = {}
        cursor = follow(store, state, 0)
        submit_night(store, "wednesday", {"d1": "7", "d9": "9"})
        score_all(store)
        monkeypatch.setattr(publish, "reach", reach)
        monkeypatch.setattr(publish, "compare", compare_and_wait)
        second = threads.submit(roll_back, other, "kb", 1)
        assert has_compared.wait(60)
        first = threads.submit(publish_due, store)
        assert is_waiting.wait(60)
        may_publish.set()
        wait_until(lambda: is_somebody_locked_out(store), 60, "the second publisher to wait for the first")
        assert follow(store, state, cursor) == cursor  # nothing of either is visible, and nothing is skipped
        may_commit.set()
        assert [made.publication_id for made in first.result(60)] == [3]
        assert second.result(60).publication_id == 4  # compared again, with what the first made
        cursors = [row.cursor for row in changes(store, find(store, "kb").ranking_id, after=cursor)]
        assert cursors == sorted(cursors)
        assert follow(store, state, cursor) == find(store, "kb").last_cursor
        assert state == latest(store)
        assert {document for _, document in state} == set(MONDAY)


def is_somebody_locked_out(store: Store) -> bool:
    with store.reading() as connection:
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(connection.execute(waiting).scalar_one())


def test_any_number_of_publishers_at_once_publish_each_job_once(store: Store, store_url: str) -> None:
    for number in range(4):
        submit_night(store, f"night {number}", {"d1": f"{number}", f"d{number}": "0.5"})
    score_all(store)
    stores = [open_store(store_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        made = [one for settled in threads.map(publish_due, stores) for one in settled]
    for opened in stores:
        opened.close()
    assert len({one.publication_id for one in made}) == len(made) == count(store, "publications")
    assert {document for _, document in latest(store)} == {"d1", "d3"}
    state: dict[tuple[str, str], tuple[object, ...]] = {}
    follow(store, state, 0)
    assert state == latest(store)


def test_a_reader_in_the_middle_of_many_publications_never_sees_a_mixture(
    store: Store, store_url: str
) -> None:
    """Every document of a night has the night's number as its score, so that a mixture would show."""
    night(store, "night 0", dict.fromkeys(["d1", "d2", "d3"], "0"), queries={"q1": ""})

    def publish_due() -> None:
        with open_store(store_url) as opened:
            for number in range(1, 8):
                corpus = dict.fromkeys(["d1", "d2", f"e{number}"], f"{number}")
                night(opened, f"night {number}", corpus, queries={"q1": ""})

    with ThreadPoolExecutor(1) as threads:
        publishing = threads.submit(publish_due)
        seen = []
        while not publishing.done():
            shown = latest(store)
            assert len(shown) == 3
            assert len({logit for _, logit in shown.values()}) == 1
            seen.append(next(iter(shown.values()))[1])
        publishing.result()
    assert seen == sorted(seen)

"""Delivery: whatever a receiver does on the way, in the end it holds the ranking and nothing else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rankmill.db.errors import ReceiverTaken
from rankmill.db.rankings import deliveries
from rankmill.db.rankings.catalog import find
from rankmill.db.rankings.feed import changes
from rankmill.db.rankings.publish import roll_back
from rankmill.db.runtime.http_client import place_of
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.producer.downstream import deliver, http_receiver
from rankmill.producer.downstream.change_formats import Target, indexed, vespa_fields
from rankmill.producer.downstream.deliver import Deliverer, DeliveryResult
from rankmill.producer.downstream.folder_receiver import FolderReceiver
from rankmill.producer.downstream.opensearch_receiver import OpenSearchReceiver
from rankmill.producer.downstream.receiver import Receiver
from rankmill.producer.downstream.url_receiver import UrlReceiver
from rankmill.producer.downstream.vespa_receiver import VespaReceiver
from rankmill.producer.errors import MissingPrerequisite, RuntimeFailure
from tests.support.jobs.rankings import night
from tests.support.processes.receivers import Misbehaving, misbehaving

MONDAY = {f"d{number}": f"{number}" for number in range(1, 21)}
TUESDAY = {f"d{number}": f"{number % 7}" for number in range(10, 30)}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Misbehaving]:
    with misbehaving(tmp_path / "receiver") as started:
        yield started


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(deliver, "MAX_PAUSE_S", 0.2)
    monkeypatch.setattr(deliver, "CHUNK_ROWS", 7)
    monkeypatch.setattr(http_receiver, "REQUEST_S", 1.0)


def opensearch(url: str, index: str = "kb") -> OpenSearchReceiver:
    return OpenSearchReceiver(place_of(url), None, index)


def deliver_all(store: Store, to: Receiver, *, patience_s: float = 60) -> DeliveryResult:
    said: list[str] = []
    ranking = find(store, "kb")
    try:
        return Deliverer(store, ranking, to, patience_s=patience_s, note=said.append).catch_up()
    finally:
        to.close()


def standing(store: Store, fields: Any = indexed) -> list[dict[str, Any]]:
    rows = changes(store, find(store, "kb").ranking_id, after=0)
    return by_pair(fields(row) for row in rows if row.change != "removed")


def by_pair(documents: Any) -> list[dict[str, Any]]:
    return sorted(documents, key=lambda document: (document["query_id"], document["document_id"]))


@pytest.mark.parametrize(
    "plan",
    [
        ["busy", "ok", "busy", "busy"],
        ["stall", "ok", "down"],
        ["reset", "drop", "drop"],
        ["die", "ok", "die"],
        ["large", "large", "large", "large"],
        ["partial", "partial", "ok", "partial"],
        ["nonsense", "partial", "die", "drop", "busy", "large", "reset"],
    ],
    ids=" ".join,
)
def test_whatever_the_receiver_does_it_ends_equal_to_the_ranking(
    sqlite_store: Store, receiver: Misbehaving, plan: list[str]
) -> None:
    for number, corpus in enumerate((MONDAY, TUESDAY)):
        night(sqlite_store, f"night {number}", corpus)
        receiver.plan(*plan)
        delivered = deliver_all(sqlite_store, opensearch(receiver.url))
        assert receiver.is_plan_done()
        assert (delivered.num_refused, delivered.cursor) == (0, find(sqlite_store, "kb").last_cursor)
        assert by_pair(receiver.documents().values()) == standing(sqlite_store)
    roll_back(sqlite_store, "kb")
    deliver_all(sqlite_store, opensearch(receiver.url))
    assert by_pair(receiver.documents().values()) == standing(sqlite_store)
    assert receiver.num_starts == 1 + 2 * plan.count("die")


def test_a_delivery_goes_on_where_it_was_and_sends_nothing_twice(store: Store, receiver: Misbehaving) -> None:
    night(store, "monday", MONDAY)
    assert deliver_all(store, opensearch(receiver.url)).num_accepted == 40
    assert deliver_all(store, opensearch(receiver.url)).num_accepted == 0
    night(store, "tuesday", {**MONDAY, "d99": "0.5"})
    assert deliver_all(store, opensearch(receiver.url)).num_accepted == 2
    assert by_pair(receiver.documents().values()) == standing(store)


def test_what_is_refused_is_kept_with_its_reason_and_tried_again(store: Store, receiver: Misbehaving) -> None:
    night(store, "monday", MONDAY, queries={"q1": "first"})
    receiver.break_documents(["d3", "d20"])
    assert deliver_all(store, opensearch(receiver.url)).num_refused == 2
    (delivery,) = deliveries.deliveries_of(store, find(store, "kb").ranking_id)
    assert {refused.reason for refused in deliveries.refusals(store, delivery)} == {
        "400: refused: of the test"
    }
    assert deliver_all(store, opensearch(receiver.url)).num_refused == 2
    assert [refused.num_tries for refused in deliveries.refusals(store, delivery)] == [2, 2]
    night(store, "tuesday", {**MONDAY, "d3": "3.5"}, queries={"q1": "first"})
    receiver.break_documents(["d3"])
    # d3 changed: it is refused anew under its new cursor, and the old one is forgotten
    assert deliver_all(store, opensearch(receiver.url)).num_refused == 1
    receiver.break_documents([])
    assert deliver_all(store, opensearch(receiver.url)).num_refused == 0
    assert by_pair(receiver.documents().values()) == standing(store)


def test_a_receiver_that_takes_nothing_ends_it_with_words_and_the_same_again_continues(
    sqlite_store: Store, receiver: Misbehaving
) -> None:
    night(sqlite_store, "monday", MONDAY)
    receiver.plan("ok", *["down"] * 50)
    with pytest.raises(RuntimeFailure, match=r"accepts nothing: http://127.0.0.1:\d+/ answered 503: not now"):
        deliver_all(sqlite_store, opensearch(receiver.url), patience_s=0.1)
    assert len(receiver.documents()) == 7
    receiver.plan()
    deliver_all(sqlite_store, opensearch(receiver.url))
    assert by_pair(receiver.documents().values()) == standing(sqlite_store)


@pytest.mark.parametrize(
    ("step", "error", "said"),
    [("denied", MissingPrerequisite, "RANKMILL_RECEIVER_AUTH"), ("moved", RuntimeFailure, "Redirects")],
)
def test_what_only_a_person_can_mend_is_said_at_once(
    sqlite_store: Store, receiver: Misbehaving, step: str, error: type[Exception], said: str
) -> None:
    night(sqlite_store, "monday", MONDAY)
    receiver.plan(step)
    with pytest.raises(error, match=said):
        deliver_all(sqlite_store, opensearch(receiver.url))


def test_vespa_ends_equal_to_the_ranking_too(sqlite_store: Store, receiver: Misbehaving) -> None:
    for number, corpus in enumerate((MONDAY, TUESDAY, MONDAY)):
        night(sqlite_store, f"night {number}", corpus, queries={"q1": "first"})
        receiver.plan("ok", "down", "reset", "busy")
        assert (
            deliver_all(sqlite_store, VespaReceiver(place_of(receiver.url), None, Target())).num_refused == 0
        )
        assert by_pair(receiver.documents().values()) == standing(sqlite_store, vespa_fields)


def test_a_url_is_posted_every_change_at_least_once(sqlite_store: Store, receiver: Misbehaving) -> None:
    night(sqlite_store, "monday", MONDAY)
    receiver.plan("drop", "down")
    deliver_all(sqlite_store, UrlReceiver(place_of(f"{receiver.url}/hook?key=secret"), "user:word", "kb"))
    posts = receiver.taken()
    assert len(posts) == 7  # the dropped one came again
    assert {post["headers"]["Authorization"] for post in posts} == {"Basic dXNlcjp3b3Jk"}
    assert [post["headers"]["X-Rankmill-Cursor"] for post in posts][-1] == "40"
    (delivery,) = deliveries.deliveries_of(sqlite_store, find(sqlite_store, "kb").ranking_id)
    assert "secret" not in delivery.receiver


def test_a_folder_gets_files_that_follow_each_other(sqlite_store: Store, tmp_path: Path) -> None:
    night(sqlite_store, "monday", MONDAY, queries={"q1": "first"})
    deliver_all(sqlite_store, FolderReceiver(tmp_path / "out"))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name.split("-")[1].lstrip("0") for name in names] == ["1", "8", "15"]


def test_a_receiver_of_one_ranking_is_not_given_another(sqlite_store: Store, receiver: Misbehaving) -> None:
    night(sqlite_store, "monday", MONDAY)
    night(sqlite_store, "other", TUESDAY, ranking="other")
    deliver_all(sqlite_store, opensearch(receiver.url))
    with pytest.raises(ReceiverTaken, match="'kb'"):
        Deliverer(
            sqlite_store, find(sqlite_store, "other"), opensearch(receiver.url), patience_s=1, note=print
        )


def test_from_the_start_everything_that_stands_is_sent_again(store: Store, receiver: Misbehaving) -> None:
    night(store, "monday", MONDAY)
    deliver_all(store, opensearch(receiver.url))
    (receiver.folder / "state.json").unlink()
    again = Deliverer(store, find(store, "kb"), opensearch(receiver.url), patience_s=60, note=print)
    again.restart()
    assert again.catch_up().num_accepted == 40
    assert by_pair(receiver.documents().values()) == standing(store)


def test_a_receiver_that_refuses_everything_stops_the_delivery(
    sqlite_store: Store, receiver: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "CHUNK_ROWS", 30)
    night(sqlite_store, "monday", MONDAY)
    receiver.break_documents(list(MONDAY))
    with pytest.raises(RuntimeFailure, match="refuses every change: 400: refused: of the test"):
        deliver_all(sqlite_store, opensearch(receiver.url))
    receiver.break_documents([])
    assert deliver_all(sqlite_store, opensearch(receiver.url)).num_accepted == 40


def test_a_connection_that_the_receiver_closed_meanwhile_is_no_trouble(
    sqlite_store: Store, receiver: Misbehaving
) -> None:
    said: list[str] = []
    to = opensearch(receiver.url)
    night(sqlite_store, "monday", MONDAY)
    delivery = Deliverer(sqlite_store, find(sqlite_store, "kb"), to, patience_s=60, note=said.append)
    delivery.catch_up()
    receiver.restart()
    night(sqlite_store, "tuesday", TUESDAY)
    delivery.catch_up()
    to.close()
    assert said == []
    assert by_pair(receiver.documents().values()) == standing(sqlite_store)


def test_two_deliveries_to_one_receiver_at_once_do_no_harm(
    sqlite_store: Store, sqlite_url: str, receiver: Misbehaving
) -> None:
    night(sqlite_store, "monday", MONDAY)
    night(sqlite_store, "tuesday", TUESDAY)
    receiver.plan("ok", "busy", "ok", "drop", "partial")
    with open_store(sqlite_url) as other, ThreadPoolExecutor(2) as threads:
        stores = (sqlite_store, other)
        both = list(threads.map(lambda opened: deliver_all(opened, opensearch(receiver.url)), stores))
    assert {delivered.cursor for delivered in both} == {find(sqlite_store, "kb").last_cursor}
    assert by_pair(receiver.documents().values()) == standing(sqlite_store)

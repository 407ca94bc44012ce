"""A job that ends tells: signed, at least once, and never to an address that is ours to protect."""

import hashlib
import hmac
import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.rankings import webhooks
from rankmill.db.rankings.notifications import (
    MAX_TRIES,
    NotAccepted,
    Notification,
    Notifier,
    notifications_of,
    notify_due,
)
from rankmill.db.rankings.notifiers import notifiers_of
from rankmill.db.rankings.publish import publish_due
from rankmill.db.records.rankings import NotificationRequest
from rankmill.db.store.store import Store
from rankmill.worker.broker.task_sender import task_sender
from tests.support.jobs.rankings import night, score_all, submit_night
from tests.support.jobs.store_rows import execute, rows
from tests.support.processes.other_process import other_process
from tests.support.processes.receivers import Misbehaving, misbehaving
from tests.support.processes.worker_process import worker_process
from tests.support.repository import ROOT
from tests.support.servers.services import running
from tests.support.waiting import wait_until

SECRET = "a secret of the tests"
MONDAY = {"d1": "1", "d2": "2"}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Misbehaving]:
    with misbehaving(tmp_path / "receiver") as started:
        yield started


def poster(*, allow_private: bool = True) -> dict[str, Notifier]:
    def post(notification: Notification, told: Mapping[str, Any]) -> None:
        webhooks.post(notification, told, secret=SECRET, allow_private=allow_private)

    return {"webhook": post}


def be_due(store: Store) -> None:
    execute(store, "UPDATE notices SET next_at = 0")


def test_a_job_that_ended_is_told_once_after_it_was_published(store: Store, receiver: Misbehaving) -> None:
    job_id = submit_night(
        store, "monday", MONDAY, notification=NotificationRequest(webhook=f"{receiver.url}/hook?key=1")
    )
    assert notify_due(store, poster()) == []
    score_all(store)
    assert notify_due(store, poster()) == []  # not before its publication
    publish_due(store)
    assert [told.problem for told in notify_due(store, poster())] == [None]
    assert notify_due(store, poster()) == []
    (post,) = receiver.taken()
    headers, told = post["headers"], json.loads(post["body"])
    signed = f"{headers['X-Rankmill-Timestamp']}.{post['body']}".encode()
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-Rankmill-Signature"] == f"v1={expected}"
    assert (told["job_id"], told["state"], told["num_scored"]) == (job_id, "done", 4)
    (published,) = told["rankings"]
    assert (published["ranking"], published["num_added"], published["last_cursor"]) == ("kb", 4, 4)


def test_a_cancelled_job_is_told_too(sqlite_store: Store, receiver: Misbehaving) -> None:
    job_id = submit_night(
        sqlite_store, "monday", MONDAY, notification=NotificationRequest(webhook=receiver.url)
    )
    cancel_job(sqlite_store, job_id)
    publish_due(sqlite_store)
    assert [told.problem for told in notify_due(sqlite_store, poster())] == [None]
    assert json.loads(receiver.taken()[0]["body"])["rankings"][0]["not_published"] == "it was cancelled"


def test_a_receiver_that_fails_is_told_again_later_and_given_up_in_the_end(
    sqlite_store: Store, receiver: Misbehaving
) -> None:
    night(
        sqlite_store,
        "monday",
        MONDAY,
        notification=NotificationRequest(webhook=f"{receiver.url}/hook?key=secret"),
    )
    receiver.plan(*["down"] * MAX_TRIES)
    for _ in range(MAX_TRIES):
        (told,) = notify_due(sqlite_store, poster())
        assert told.problem == f"{receiver.url}/hook answered 503"
        assert notify_due(sqlite_store, poster()) == []  # a pause lies between
        be_due(sqlite_store)
    assert notify_due(sqlite_store, poster()) == []
    (row,) = notifications_of(sqlite_store, [1])
    assert (row.state, row.num_tries) == ("given up", MAX_TRIES)
    assert row.reason == f"gave up: {receiver.url}/hook answered 503"


def test_a_redirect_is_not_followed(sqlite_store: Store, receiver: Misbehaving) -> None:
    night(sqlite_store, "monday", MONDAY, notification=NotificationRequest(webhook=receiver.url))
    receiver.plan("moved")
    assert notify_due(sqlite_store, poster())[0].problem == f"{receiver.url}/ answered 307"
    assert (receiver.taken(), receiver.is_plan_done()) == ([], True)


DYING = """
import sys
from rankmill.db.rankings import notifications, webhooks
from rankmill.db.store.opening import open_store

def reach(point):
    print("ready", flush=True)
    sys.stdin.read()

def post(notification, told):
    webhooks.post(notification, told, secret="a secret of the tests", allow_private=True)

notifications.reach = reach
notifications.notify_due(open_store(sys.argv[1]), {"webhook": post})
"""


def test_killed_after_the_post_it_is_told_again(store: Store, store_url: str, receiver: Misbehaving) -> None:
    night(store, "monday", MONDAY, notification=NotificationRequest(webhook=receiver.url))
    with other_process(DYING, store_url) as process:
        process.kill()
        process.wait()
    assert notify_due(store, poster()) == []  # for as long as the dead one may be at it
    be_due(store)
    assert [told.problem for told in notify_due(store, poster())] == [None]
    posts = receiver.taken()
    assert len(posts) == 2
    assert len({post["headers"]["X-Rankmill-Notice"] for post in posts}) == 1


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "::127.0.0.1",
    ],
)
def test_loopback_link_local_and_private_addresses_are_refused(address: str) -> None:
    assert not webhooks.is_public(ip_address(address))
    assert webhooks.is_public(ip_address("93.184.215.14"))
    assert webhooks.is_public(ip_address("2606:2800:21f:cb07:6820:80da:af6b:8b2c"))


def test_the_address_that_is_really_connected_to_is_what_counts(
    sqlite_store: Store, receiver: Misbehaving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads inside, whatever it is called; and resolving again cannot change the answer."""
    asked = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://hooks.example.com:{receiver.port}/hook"
    night(sqlite_store, "monday", MONDAY, notification=NotificationRequest(webhook=url))
    (told,) = notify_due(sqlite_store, poster(allow_private=False))
    assert told.problem is not None
    assert told.problem.startswith(f"{url}: the host's address is loopback, link-local or private")
    be_due(sqlite_store)
    assert notify_due(sqlite_store, poster())[0].problem is None
    assert (asked, len(receiver.taken())) == (["hooks.example.com"] * 2, 1)


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "http://", "http://u:p@a/", "https://a/\r\nX: y", "http://a:b/"]
)
def test_what_is_no_url_to_post_to_is_never_posted_to(url: str) -> None:
    with pytest.raises(NotAccepted, match="cannot be used"):
        webhooks.post(Notification(1, 1, "webhook", url, 1, 0.0), {}, secret=SECRET, allow_private=True)


def test_a_worker_publishes_and_tells_by_webhook_and_by_task(
    store_url: str, store: Store, redis_url: str, receiver: Misbehaving, tmp_path: Path
) -> None:
    """All in processes of their own: our worker, the receiver, and the worker of somebody else's shop."""
    notification = NotificationRequest(webhook=receiver.url, then="shop.reindex")
    job_id = submit_night(store, "monday", MONDAY, notification=notification)
    told = tmp_path / "told"
    shop = [sys.executable, "-m", "celery", "-A", "tests.support.processes.shop", "worker", "--pool", "solo"]
    environment = {"SHOP_BROKER": redis_url, "SHOP_FILE": str(told), "PYTHONPATH": str(ROOT)}
    settings: dict[str, Any] = {"webhook_secret": SECRET, "webhook_private": True, "rescue_s": 0.5}
    with (
        running([*shop], environment | {"PATH": os.environ["PATH"]}, tmp_path, "shop"),
        worker_process(store_url, redis_url, tmp_path / "worker.log", **settings) as worker,
    ):
        wait_until(told.exists, 60, "the shop to hear of the job")
        wait_until(receiver.taken, 60, "the webhook to be posted")
    assert told.read_text() == f"{job_id}\n"
    assert {row["num_tries"] for row in rows(store, "notices")} == {1}
    assert SECRET not in worker.words()


def test_a_broker_that_is_away_is_a_reason_and_not_an_end(sqlite_store: Store) -> None:
    from rankmill.db.runtime.settings import Settings

    night(sqlite_store, "monday", MONDAY, notification=NotificationRequest(then="shop.reindex"))
    settings = Settings(broker="redis://:word@127.0.0.1:9/0")
    notifiers = notifiers_of(settings, task_sender(settings.broker))
    (told,) = notify_due(sqlite_store, notifiers)
    assert told.problem is not None
    assert "the broker did not take the task" in told.problem
    assert "word" not in told.problem

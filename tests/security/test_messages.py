"""What passes through the broker, and what logs say of it: JSON with ids. No text, no password, no pickle."""

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from rankmill.db.store.opening import open_store
from tests.support.jobs.long_jobs import SOON_S, is_done, ring
from tests.support.jobs.small_jobs import submit
from tests.support.processes.pickled import send_pickle
from tests.support.processes.worker_process import worker_process
from tests.support.waiting import wait_until

TEXT = "zephyrine clause about marmalade"
PASSWORD = "hush-s3cret"


@pytest.fixture
def guarded_url(redis_url: str) -> Iterator[str]:
    """The URL of the server with a user's name and password in it."""
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "careful", "on", f">{PASSWORD}", "~*", "&*", "+@all")
        yield redis_url.replace("//", f"//careful:{PASSWORD}@")
        client.acl_deluser("careful")


@contextmanager
def overheard(redis_url: str) -> Iterator[list[str]]:
    """Every command that anybody sends to the server, with its arguments."""
    heard: list[str] = []
    end = "the end of what was overheard"
    with redis.Redis.from_url(redis_url, socket_timeout=None) as client, client.monitor() as wire:

        def listen() -> None:
            for command in wire.listen():
                heard.append(str(command["command"]))
                if end in heard[-1]:
                    return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        yield heard
        client.echo(end)
        listener.join(SOON_S)


def unpacked(command: str) -> str:
    """What a command carries in base64, as bodies of messages are."""
    packed = re.findall(r"[A-Za-z0-9+/]{20,}={0,2}", command)
    bodies = (base64.b64decode(one) for one in packed if len(one) % 4 == 0)
    return " ".join(body.decode(errors="replace") for body in bodies)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_neither_texts_nor_passwords_are_in_messages_events_or_the_log_however_much_is_logged(
    log_format: str, sqlite_url: str, redis_url: str, guarded_url: str, tmp_path: Path
) -> None:
    with (
        overheard(redis_url) as heard,
        open_store(sqlite_url) as store,
        worker_process(
            sqlite_url, guarded_url, tmp_path / "log", log_level="DEBUG", log_format=log_format, rescue_s=0.5
        ) as worker,
    ):
        worker.wait_for("worker_ready" if log_format == "json" else "listens on queue")
        texts = [f"{TEXT} number {number}" for number in range(5)]
        job_id = submit(store, query_texts=[f"{TEXT}?"], document_texts=texts).job_id
        ring(guarded_url, job_id)
        wait_until(is_done(store, job_id), SOON_S, "the job to be done")
        worker.wait_for("pairs, ")
        assert worker.stop() == 0
    spoken = "\n".join([*heard, *map(unpacked, heard)])
    assert "rankmill.drain" in spoken
    assert "task-succeeded" in spoken, "events, which Flower shows, were overheard too"
    for said in (spoken, worker.words()):
        assert "marmalade" not in said
    assert PASSWORD not in worker.words()
    rings = [command for command in heard if command.startswith("LPUSH") and "rankmill.drain" in command]
    assert rings
    assert all('"content-type": "application/json"' in command.replace("\\", "") for command in rings)


def test_a_message_in_pickle_form_is_refused_unread_and_the_worker_goes_on(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    with (
        open_store(sqlite_url) as store,
        worker_process(sqlite_url, redis_url, tmp_path / "log", rescue_s=3600) as worker,
    ):
        worker.wait_until_ready()
        send_pickle(redis_url, tmp_path / "touched")
        worker.wait_for("Refusing to deserialize")
        job_id = submit(store).job_id
        ring(redis_url)
        wait_until(is_done(store, job_id), SOON_S, "the job that is rung for in JSON")
        assert not (tmp_path / "touched").exists()

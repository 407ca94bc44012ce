"""RabbitMQ as the broker, the real server: rung, killed, killed under a job, and always the same end."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import amqp
import pytest
from celery import Celery

from rankmill.db.rankings.notifications import NotAccepted
from rankmill.db.rankings.notifiers import SendTask
from rankmill.db.runtime.broker_protocol import queue_name
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.producer.downstream.follow_up import send_task
from rankmill.worker.app import configure
from rankmill.worker.broker.doorbell import Doorbell as WorkersDoorbell
from rankmill.worker.broker.task_sender import task_sender
from tests.support.jobs.long_jobs import (
    SOON_S,
    assert_complete,
    half_way,
    is_done,
    pauses_at,
    ring,
    submit_long_job,
)
from tests.support.jobs.small_jobs import submit
from tests.support.processes.pickled import send_pickle
from tests.support.processes.rankmill_command import PROGRAM, Rankmill, in_process, write_inputs
from tests.support.processes.web_page import Site
from tests.support.processes.worker_process import WorkerProcess, worker_process
from tests.support.servers.ports import free_port
from tests.support.servers.rabbitmq import PASSWORD, RabbitMQ
from tests.support.servers.services import running
from tests.support.waiting import wait_until

QUEUE = queue_name("null")
AUTH = "ann:correct-horse"


@pytest.fixture
def broker(rabbitmq: RabbitMQ) -> RabbitMQ:
    """The server, without the queue of a test before."""
    with rabbitmq.connection() as connection:
        connection.channel().queue_delete(QUEUE)
    return rabbitmq


@pytest.fixture
def impatient(broker: RabbitMQ) -> Iterator[RabbitMQ]:
    """The server while it waits two seconds for an acknowledgement, and not half an hour."""
    broker.wait_for_acknowledgements(2_000)
    yield broker
    broker.wait_for_acknowledgements(1_800_000)


def num_messages(broker: RabbitMQ) -> int:
    with broker.connection() as connection:
        return int(connection.channel().queue_declare(QUEUE, passive=True).message_count)


def test_the_same_commands_work_with_rabbitmq_whose_messages_are_ids_in_json_and_nothing_else(
    broker: RabbitMQ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rankmill = Rankmill(tmp_path)
    monkeypatch.setenv("RANKMILL_STORE", rankmill.store_url)
    monkeypatch.setenv("RANKMILL_BROKER", broker.url)
    flags = write_inputs(tmp_path, num_documents=5, num_queries=2)
    assert in_process("submit", *flags) == 0
    assert capsys.readouterr().out == "1\n"
    with broker.connection() as connection:
        channel = connection.channel()
        message = channel.basic_get(QUEUE)
        body, headers = message.body, message.headers
        channel.basic_reject(message.delivery_tag, requeue=True)
        assert (json.loads(body)[0], headers["argsrepr"]) == ([1], "(job=1)")
        assert message.properties["content_type"] == "application/json"
        with pytest.raises(amqp.PreconditionFailed, match=r"x-queue-type.*quorum"):
            connection.channel().queue_declare(QUEUE, durable=True, auto_delete=False)
    flower_port = free_port()
    shown = dict(os.environ) | {"RANKMILL_FLOWER_AUTH": AUTH, "RANKMILL_FLOWER_PORT": str(flower_port)}
    flower = Site(flower_port, AUTH)
    with running([str(PROGRAM), "monitor"], shown, tmp_path, "flower") as monitor:
        monitor.wait_until(lambda: flower.answer("/workers")[0] == 200, "Flower's pages")
        with worker_process(rankmill.store_url, broker.url, tmp_path / "log") as worker:
            assert in_process("watch", "1") == 0
            monitor.wait_until(lambda: "10 pairs" in flower.answer("/api/tasks")[1], "the task's line")
            with broker.connection() as connection, pytest.raises(amqp.NotFound):
                connection.channel().queue_declare("celery_delayed_0", passive=True)
            send_pickle(broker.url, tmp_path / "touched")
            worker.wait_for("Refusing to deserialize")
            assert in_process("submit", *flags, "--max-length", "64") == 0
            assert in_process("watch", "2") == 0
            assert not (tmp_path / "touched").exists()
            capsys.readouterr()
            assert worker.stop() == 0
    assert in_process("results", "1") == 0
    assert len(capsys.readouterr().out.splitlines()) == 10
    assert in_process("doctor") == 0
    assert "***@127.0.0.1" in "".join(capsys.readouterr().out.split())
    for said in (worker.words(), monitor.log.read_text()):
        assert PASSWORD not in said
        assert "clause" not in said


def test_a_wrong_password_is_told_and_nothing_is_recorded(
    broker: RabbitMQ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = write_inputs(tmp_path, num_documents=1, num_queries=1)
    url = broker.url.replace(PASSWORD, "wr0ng")
    store = f"sqlite:///{tmp_path / 'store.db'}"
    open_store(store, create=True).close()
    worker = WorkerProcess(store, url, tmp_path / "log")
    for command in (["submit", *flags], ["doctor"]):
        assert in_process(*command, "--store", store, "--broker", url) == 3
        said = "".join(capsys.readouterr())
        assert "refused" in said.lower()
        assert "wr0ng" not in said
    assert worker.wait_until_ended(60) == 3
    assert "ACCESS_REFUSED" in worker.words()
    assert "wr0ng" not in worker.words()
    assert Rankmill(tmp_path).jobs() == []


def test_the_broker_is_killed_with_a_job_under_way_and_the_next_job_is_heard_of(
    broker: RabbitMQ, sqlite_url: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with (
        open_store(sqlite_url) as store,
        worker_process(
            sqlite_url, broker.url, tmp_path / "log", rescue_s=0.5, failpoints=pauses_at(gate)
        ) as worker,
    ):
        worker.wait_until_ready()
        job_id = submit_long_job(store)
        ring(broker.url)
        with half_way(store, job_id):
            broker.kill()
        gate.touch()
        wait_until(is_done(store, job_id), SOON_S, "the job to be done without its broker")
        assert_complete(store, job_id)
        broker.start()
        unheard = submit(store, key="never rung for").job_id
        wait_until(is_done(store, unheard), SOON_S, "a rescue round to ring when the broker is back")
        assert worker.stop() == 0
        assert PASSWORD not in worker.words()


def test_what_a_killed_worker_had_heard_is_said_again_at_once(
    broker: RabbitMQ, sqlite_url: str, tmp_path: Path
) -> None:
    with open_store(sqlite_url) as store:
        pauses = pauses_at(tmp_path / "never made")
        with worker_process(sqlite_url, broker.url, tmp_path / "one", failpoints=pauses) as one:
            one.wait_until_ready()
            job_id = submit_long_job(store)
            ring(broker.url)
            with half_way(store, job_id):
                num_waiting = num_messages(broker)
                one.kill()
                wait_until(lambda: num_messages(broker) > num_waiting, SOON_S, "the message to be back")
        with worker_process(sqlite_url, broker.url, tmp_path / "two", rescue_s=0.5):
            wait_until(is_done(store, job_id), SOON_S, "the job to be done")
        assert_complete(store, job_id)


def test_a_drain_longer_than_rabbitmq_waits_for_costs_a_connection_and_no_worker(
    impatient: RabbitMQ, sqlite_url: str, tmp_path: Path
) -> None:
    broker, gate = impatient, tmp_path / "gate"
    with (
        open_store(sqlite_url) as store,
        worker_process(
            sqlite_url, broker.url, tmp_path / "log", rescue_s=0.5, failpoints=pauses_at(gate)
        ) as worker,
    ):
        worker.wait_until_ready()
        job_id = submit_long_job(store)
        ring(broker.url)
        with half_way(store, job_id):
            worker.wait_for("delivery acknowledgement on channel")
        gate.touch()
        wait_until(is_done(store, job_id), SOON_S, "the job to be done")
        assert_complete(store, job_id)
        after = submit(store, key="rung for afterwards").job_id
        ring(broker.url)
        wait_until(is_done(store, after), SOON_S, "the same worker to hear the next ring")
        assert worker.stop() == 0


def test_doorbells_do_not_pile_up_while_nobody_listens(broker: RabbitMQ) -> None:
    app = Celery("configured", set_as_current=False)
    configure(app, Settings(broker=broker.url, model="null"))
    doorbell = WorkersDoorbell(app, QUEUE)
    doorbell.ring(5)
    wait_until(lambda: num_messages(broker) == 1, SOON_S, "the message to be counted")
    for _ in range(3):
        doorbell.ring(5, only_if_silent=True)
    assert num_messages(broker) == 1


@pytest.mark.parametrize("sender_of", [send_task, task_sender])
def test_a_task_at_a_jobs_end_goes_into_a_queue_of_any_kind_and_into_none_that_is_missing(
    broker: RabbitMQ, sender_of: Callable[[str], SendTask]
) -> None:
    send = sender_of(broker.url)
    kinds: dict[str, dict[str, Any]] = {
        "quorum": {"durable": True, "arguments": {"x-queue-type": "quorum"}},
        "classic": {"durable": True},
        "fleeting": {"durable": False},
    }
    with broker.connection() as connection:
        channel = connection.channel()
        for name, kind in kinds.items():
            channel.queue_declare(name, auto_delete=False, **kind)
            send(f"shop.reindex@{name}", 5)
            message = wait_until(lambda: channel.basic_get(name, no_ack=True), SOON_S, "the task")  # noqa: B023
            assert (json.loads(message.body)[0], message.headers["task"]) == ([5], "shop.reindex")
            channel.queue_delete(name)
    for address, queue in (("shop.reindex@missing", "missing"), ("shop.reindex", "celery")):
        with pytest.raises(NotAccepted, match=f"RabbitMQ has no queue {queue}: start a worker of yours"):
            send(address, 5)
        with broker.connection() as connection, pytest.raises(amqp.NotFound):
            connection.channel().queue_declare(queue, passive=True)


def test_a_queue_that_was_declared_otherwise_is_told_with_its_remedy(
    broker: RabbitMQ, sqlite_url: str, tmp_path: Path
) -> None:
    with broker.connection() as connection:
        connection.channel().queue_declare(QUEUE, durable=True, auto_delete=False)
    worker = WorkerProcess(sqlite_url, broker.url, tmp_path / "log")
    assert worker.wait_until_ended(60) == 3
    assert "rabbitmqctl delete_queue" in worker.words()
    assert "Traceback" not in worker.words()

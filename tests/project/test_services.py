"""The compose file's services work together: their very commands, as processes, on real Redis and PostgreSQL.

What containers add (networks, users, volumes, the GPU) cannot run here; test_house_compose.py reads it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import AuthenticationError, Redis

from tests.support.processes.web_page import Site
from tests.support.servers.ports import free_port
from tests.support.servers.postgresql import PostgresServer
from tests.support.servers.services import Running, Services

AUTH = "ann:correct-horse"
SECRETS = {
    "POSTGRES_PASSWORD": "postgrespassword",
    "REDIS_PASSWORD": "redispassword",
    "RANKMILL_FLOWER_AUTH": AUTH,
    "RANKMILL_MODEL": "null",
}
QUERY = "who pays the costs of storage"
DOCUMENTS = ["The lessee bears every charge of the warehouse.", "Notices are sent by post.", "Dated 3 May."]
WRITES = [
    "/api/worker/shutdown/{worker}",
    "/api/worker/pool/restart/{worker}",
    "/api/worker/queue/add-consumer/{worker}?queue=other",
    "/api/task/async-apply/rankmill.drain",
    "/api/task/send-task/rankmill.drain",
    "/api/task/revoke/{task}",
]


@pytest.fixture
def services(postgres: PostgresServer, tmp_path: Path) -> Iterator[Services]:
    """The compose file on this machine, with an empty database: migrating it is a service's work."""
    store_url = postgres.empty_database()
    yield Services(SECRETS, store_url, tmp_path, redis_port=free_port(), flower_port=free_port())
    postgres.drop(store_url)


@pytest.fixture
def redis(services: Services) -> Iterator[Running]:
    with services.redis() as process:
        process.wait_until(lambda: b"Ready to accept" in process.log.read_bytes(), what="Redis is up")
        yield process


def submit(services: Services) -> None:
    """Submit one query and a few documents through the producer service."""
    (services.folder / "queries.jsonl").write_text(json.dumps({"id": "q", "text": QUERY}) + "\n")
    lines = [json.dumps({"id": f"d{no}", "text": text}) + "\n" for no, text in enumerate(DOCUMENTS)]
    (services.folder / "corpus.jsonl").write_text("".join(lines))
    asked = ["submit", "--corpus", "corpus.jsonl", "--queries", "queries.jsonl", "--all-pairs"]
    submitted = services.run("producer", *asked)
    assert submitted.returncode == 0, submitted.stderr


def results(services: Services) -> list[dict[str, Any]]:
    printed = services.run("producer", "results", "1", "--output", "-")
    assert printed.returncode == 0, printed.stderr
    return [json.loads(line) for line in printed.stdout.splitlines()]


def workers_online(flower: Site) -> list[str]:
    listed = flower.json("/workers?json=1") or {"data": []}
    return [worker["hostname"] for worker in listed["data"] if worker["status"]]


def finished_tasks(flower: Site) -> dict[str, Any]:
    return {
        uuid: task for uuid, task in (flower.json("/api/tasks") or {}).items() if task["state"] == "SUCCESS"
    }


def test_redis_refuses_those_without_the_password(services: Services, redis: Running) -> None:
    with pytest.raises(AuthenticationError):
        Redis(port=services.redis_port).ping()
    admitted = Redis(port=services.redis_port, password=SECRETS["REDIS_PASSWORD"])
    assert admitted.config_get("appendonly")["appendonly"] == "yes"
    assert admitted.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
    admitted.close()


def test_migrate_may_run_at_every_start(services: Services) -> None:
    for _ in range(2):
        migrated = services.run("migrate")
        assert migrated.returncode == 0, migrated.stderr
        assert SECRETS["POSTGRES_PASSWORD"] not in migrated.stdout + migrated.stderr


def test_flower_does_not_start_without_credentials(services: Services, redis: Running) -> None:
    refused = services.run("flower", without="RANKMILL_FLOWER_AUTH")
    assert refused.returncode == 3
    assert "RANKMILL_FLOWER_AUTH" in refused.stderr


def test_a_job_is_drained_and_flower_shows_the_worker_and_its_work(
    services: Services, redis: Running
) -> None:
    migrated = services.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    with services.running("worker") as worker, services.running("flower") as flower_process:
        flower, stranger = Site(services.flower_port, AUTH), Site(services.flower_port)
        flower_process.wait_until(lambda: workers_online(flower), what="Flower shows the worker online")
        (worker_name,) = workers_online(flower)

        submit(services)
        watched = services.run("producer", "watch", "1")
        assert watched.returncode == 0, watched.stderr + worker.last_words()
        assert {result["document_id"] for result in results(services)} == {"d0", "d1", "d2"}

        flower_process.wait_until(lambda: finished_tasks(flower), what="Flower shows a finished task")
        (task_id, task), *_ = finished_tasks(flower).items()
        assert task["name"] == "rankmill.drain"
        assert "job 1: 1 shard, 3 pairs" in task["result"], task["result"]
        _, page = flower.answer("/api/tasks")
        for text in (QUERY, *DOCUMENTS):
            assert text not in page
        for path in ("/", "/workers", "/tasks", "/broker", f"/task/{task_id}", f"/worker/{worker_name}"):
            assert flower.answer(path)[0] == 200, path
            assert stranger.answer(path)[0] == 401, path
        for path in ("/api/workers", "/api/tasks", "/tasks/datatable"):
            assert stranger.answer(path)[0] == 401, path
        for path in (write.format(worker=worker_name, task=task_id) for write in WRITES):
            assert flower.answer(path, "POST")[0] == 403, path
            assert stranger.answer(path, "POST")[0] == 401, path

        for name in ("worker", "flower"):
            checked = services.run(name, command=services.health_check(name))
            assert checked.returncode == 0, f"health check of {name}: {checked.stdout}{checked.stderr}"
    assert worker.process.returncode == 0, worker.last_words()
    gone = services.run("worker", command=services.health_check("worker"))
    assert gone.returncode != 0, "the health check passes with no worker there"
    for process in (worker, flower_process):
        for secret in SECRETS.values():
            assert secret == "null" or secret not in process.log.read_text(), (
                f"a secret in {process.name}'s log"
            )


def test_the_beat_is_healthy_while_it_asks_and_keeps_its_secrets(services: Services, redis: Running) -> None:
    assert services.run("migrate").returncode == 0
    with services.running("beat") as beat:
        beat.wait_until(lambda: b"what is due" in beat.log.read_bytes(), what="the beat asks")
        checked = services.run("beat", command=services.health_check("beat"))
        assert checked.returncode == 0, checked.stdout + checked.stderr
    assert beat.process.returncode == 0, beat.last_words()
    assert not [secret for secret in SECRETS.values() if secret != "null" and secret in beat.log.read_text()]

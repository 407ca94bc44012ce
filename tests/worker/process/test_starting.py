"""How a worker starts: the same by both commands, light in its parent, never without prerequisites."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from sqlalchemy import create_engine, text

from rankmill.db.runtime.broker_protocol import queue_name, transport_options
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.worker.app import configure, model_name
from tests.support.processes.worker_process import (
    CELERY_WORKER,
    PYTHON_M_WORKER,
    WorkerProcess,
    worker_process,
)
from tests.support.repository import ROOT
from tests.support.servers.ports import free_port

MODULES_OF_THE_PARENT = (
    "__main__",
    "app",
    "broker.doorbell",
    "drain.drain",
    "loading.load",
    "maintenance.rescue",
    "process.lifecycle",
    "process.state",
    "process.tasks",
    "scorer.null_scorer",
)


def test_celery_s_own_command_starts_the_same_worker(sqlite_url: str, redis_url: str, tmp_path: Path) -> None:
    app = Celery(broker=redis_url, set_as_current=False)

    def look(node: str) -> dict[str, Any]:
        inspect = app.control.inspect([node], timeout=20, limit=1)
        stats, queues = inspect.stats()[node], inspect.active_queues()[node]
        pool = stats["pool"]
        return {
            "implementation": pool["implementation"],
            "concurrency": pool["max-concurrency"],
            "timeouts": pool["timeouts"],
            "prefetch": stats["prefetch_count"],
            "queues": queues,
            "tasks": inspect.registered()[node],
        }

    with (
        worker_process(sqlite_url, redis_url, tmp_path / "ours", drain_s=100) as one,
        worker_process(sqlite_url, redis_url, tmp_path / "its", command=CELERY_WORKER, drain_s=100) as other,
    ):
        one.wait_until_ready()
        other.wait_until_ready()
        ours, its = (look(f"rankmill-{worker.pid}@{socket.gethostname()}") for worker in (one, other))
    assert ours == its
    assert "prefork" in ours["implementation"]
    assert (ours["concurrency"], ours["prefetch"], ours["timeouts"]) == (1, 1, [0, 0])
    assert [queue["name"] for queue in ours["queues"]] == [queue_name("null")]
    assert [task.partition(" ")[0] for task in ours["tasks"]] == ["rankmill.drain"]


def test_the_parent_of_the_pool_never_imports_torch() -> None:
    modules = [f"rankmill.worker.{module}" for module in MODULES_OF_THE_PARENT]
    code = f"""
import importlib, sys
for module in {modules}:
    importlib.import_module(module)
heavy = sorted({{"torch", "transformers", "tokenizers", "numpy", "typer", "rich"}} & set(sys.modules))
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_worker_without_its_prerequisites_ends_with_code_3_and_the_remedy(
    sqlite_url: str, redis_url: str, tmp_path: Path
) -> None:
    empty, newer, missing = (f"sqlite:///{tmp_path / name}" for name in ("empty.db", "newer.db", "no.db"))
    (tmp_path / "empty.db").touch()
    open_store(newer, create=True).close()
    with create_engine(newer).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    nobody = f"127.0.0.1:{free_port()}"
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("requirepass", "right")
    try:
        expected = {
            ("no broker", sqlite_url, ""): "A worker needs a broker and none is given.",
            ("nobody there", sqlite_url, f"redis://:hush@{nobody}/0"): "Check that it runs and that --broker",
            ("wrong password", sqlite_url, redis_url.replace("//", "//:hush@")): "with its password.",
            ("empty store", empty, _with_password(redis_url)): "Run: rankmill migrate",
            ("missing store", missing, _with_password(redis_url)): "Run: rankmill migrate",
            ("newer store", newer, _with_password(redis_url)): "Upgrade this installation",
            (
                "no database",
                f"postgresql://me:hush@{nobody}/x",
                _with_password(redis_url),
            ): "cannot be reached",
        }
        workers = {
            case: WorkerProcess(store, broker, tmp_path / case[0].replace(" ", "-"))
            for case in expected
            for _, store, broker in [case]
        }
        for case, worker in workers.items():
            assert worker.wait_until_ended(60) == 3, (case, worker.words())
            last = worker.words().strip().splitlines()[-1]
            assert expected[case] in last, (case, worker.words())
            assert "Traceback" not in worker.words()
            assert "hush@" not in worker.words()
    finally:
        with redis.Redis.from_url(_with_password(redis_url)) as client:
            client.config_set("requirepass", "")


def _with_password(redis_url: str) -> str:
    return redis_url.replace("//", "//:right@")


def test_wrong_settings_are_a_usage_error_that_names_them(sqlite_url: str, tmp_path: Path) -> None:
    worker = WorkerProcess(
        sqlite_url, "redis://127.0.0.1/0", tmp_path / "log", lease_s="soon", log_level="LOUD"
    )
    assert worker.wait_until_ended(60) == 2
    assert "RANKMILL_LEASE_S: " in worker.words()
    assert "RANKMILL_LOG_LEVEL: " in worker.words()
    assert "Traceback" not in worker.words()


@pytest.mark.parametrize("command", [PYTHON_M_WORKER, CELERY_WORKER])
def test_a_broker_that_nobody_here_speaks_to_is_refused_without_showing_its_url(
    command: tuple[str, ...], sqlite_url: str, tmp_path: Path
) -> None:
    worker = WorkerProcess(sqlite_url, "gopher://me:hush@there/0", tmp_path / "log", command=command)
    assert worker.wait_until_ended(60) in (1, 2)
    assert "a broker URL begins with redis://, rediss://, redis+socket://, amqp://" in worker.words()
    assert "hush" not in worker.words()


def test_a_directory_is_one_queue_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_name("model") == model_name("./model/") == str(tmp_path / "model")
    assert model_name("demo") == "demo"
    assert model_name("BAAI/bge-reranker-v2-m3") == "BAAI/bge-reranker-v2-m3"


def test_messages_are_json_acknowledged_late_and_never_pickled() -> None:
    app = Celery("configured", set_as_current=False)
    configure(app, Settings(broker="redis://localhost/0", model="null", drain_s=50))
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == app.conf.event_serializer == "json"
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.task_ignore_result
    assert app.conf.task_time_limit is None, "a long shard is no crime"
    assert not app.conf.task_create_missing_queues
    assert app.conf.broker_transport_options["visibility_timeout"] >= 6 * 3600


def test_each_broker_is_given_its_own_options() -> None:
    assert transport_options(None, 1.0) == {}
    assert transport_options("amqp://localhost//", 1.0) == {"confirm_publish": True}
    app = Celery("configured", set_as_current=False)
    configure(app, Settings(broker="amqps://localhost//", model="null"))
    assert app.conf.broker_use_ssl == {"server_hostname": None}, "the certificate's host is checked"
    assert "socket_keepalive" in transport_options("rediss://localhost/0", 1.0)
    assert "socket_keepalive" not in transport_options("redis+socket:///tmp/redis.sock", 1.0)


@pytest.mark.parametrize("is_json", [True, False])
def test_the_doctor_says_what_a_model_is_here(is_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    from rankmill.worker.__main__ import main

    assert main(["doctor", "--model", "null", *(["--json"] if is_json else [])]) == 0
    said = capsys.readouterr().out
    if is_json:
        facts = json.loads(said)
        assert (facts["model"], facts["device"], facts["dtype"]) == ("null", "cpu", "float32")
        assert facts["tokens_per_s"] > 0
    else:
        assert "device: cpu" in said


def test_the_doctor_says_why_a_model_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rankmill.worker.__main__ import main

    assert main(["doctor", "--model", str(tmp_path), "--json"]) == 3
    assert "has no config.json" in json.loads(capsys.readouterr().out)["problem"]

"""Options and RANKMILL_* variables alone decide, whatever the environment says to other programs.

A Redis of somebody else stands by, named by all their variables; nobody of us may say a word to it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from rankmill.db.runtime.foreign_variables import is_foreign
from tests.support.processes.rankmill_command import Rankmill, write_inputs
from tests.support.processes.web_page import Site
from tests.support.processes.worker_process import CELERY_WORKER
from tests.support.servers.ports import free_port
from tests.support.servers.redis import redis_server
from tests.support.variables import variables_read_by
from tests.support.waiting import wait_until

SOON_S = 60.0
CELERYS = ("celery", "kombu", "billiard", "flower")
CELERY = str(Path(sys.executable).with_name("celery"))
CELERY_BEAT = (sys.executable, "-m", "celery", "-A", "rankmill.producer.beat", "beat")
# What Celery reads while it is imported, or on the command line before the application, and stumbles over.
READ_BEFORE_US = (
    *(
        "AUTOSCALE_",
        "C_",
        "CELERY_BENCH",
        "CELERY_TRACE_APP",
        "CELERY_WORKER_",
        "EVENTLET_",
        "MP_LOG",
        "PICKLE_",
    ),
    *("CELERY_SKIP_CHECKS", "KOMBU_", "REMAP_SIGTERM", "SKIP_CHECKS"),
)


@pytest.fixture
def foreign(redis_url: str) -> Iterator[str]:
    """The URL of somebody else's Redis, to which nobody has connected at the end."""
    with redis.Redis.from_url(redis_url) as client:
        client.config_resetstat()
        yield redis_url
        assert client.info("stats")["total_connections_received"] == 0
        assert client.dbsize() == 0


@pytest.fixture
def ours() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def theirs(foreign: str) -> dict[str, str]:
    """Every variable of other programs that we know of, with the most harmful value."""
    names = {name for library in CELERYS for name in variables_read_by(library)}
    nonsense = {name: "nonsense.of.others" for name in names if is_foreign(name)}
    urls = [
        "CELERY_BROKER_URL",
        "CELERY_BROKER_READ_URL",
        "CELERY_BROKER_WRITE_URL",
        "BROKER_URL",
        "REDIS_URL",
    ]
    flower = {"FLOWER_UNAUTHENTICATED_API": "true", "FLOWER_PORT": "1", "FLOWER_URL_PREFIX": "theirs"}
    options = {"CELERY_BROKER": foreign, "CELERY_WORKER_POOL": "solo", "CELERY_WORKER_QUEUES": "theirs"}
    return nonsense | options | flower | dict.fromkeys([*urls, "CELERY_RESULT_BACKEND"], foreign)


@pytest.fixture
def rankmill(tmp_path: Path, theirs: dict[str, str]) -> Rankmill:
    command = Rankmill(tmp_path)
    command.environment |= theirs
    return command


def logged(
    folder: Path, command: tuple[str, ...], environment: dict[str, str], log: str
) -> "subprocess.Popen[bytes]":
    with (folder / log).open("wb") as output:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )


def wait_for(process: "subprocess.Popen[bytes]", log: Path, words: str) -> None:
    wait_until(lambda: process.poll() is not None or words in log.read_text(), SOON_S, words)
    assert words in log.read_text(), log.read_text()


def end(*processes: "subprocess.Popen[bytes]") -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(SOON_S)


def test_a_run_opens_nothing_and_gives_the_same_scores(rankmill: Rankmill, tmp_path: Path) -> None:
    flags = write_inputs(tmp_path, num_documents=3, num_queries=2)[:-1]
    numbers = {"NVIDIA_TF32_OVERRIDE": "1", "ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "XLA_USE_BF16": "1"}
    rankmill.environment |= numbers
    rankmill("run", *flags, "demo", "--output", "theirs.jsonl")
    plain = Rankmill(tmp_path)
    plain("run", *flags, "demo", "--output", "ours.jsonl", RANKMILL_STORE=f"sqlite:///{tmp_path}/plain.db")
    assert (tmp_path / "theirs.jsonl").read_text() == (tmp_path / "ours.jsonl").read_text()


def test_worker_and_commands_use_the_broker_that_they_were_given(
    rankmill: Rankmill, ours: str, tmp_path: Path
) -> None:
    flags = write_inputs(tmp_path, num_documents=2, num_queries=1)
    rankmill("migrate")
    worker = rankmill.start("worker", "--model", "null", RANKMILL_BROKER=ours)
    try:
        rankmill("submit", *flags, "--then", "tell@them", RANKMILL_BROKER=ours)
        rankmill("watch", "1", RANKMILL_BROKER=ours)
        doctor = rankmill("doctor", "--json", RANKMILL_BROKER=ours)
        found = {finding["part"]: finding for finding in json.loads(doctor.stdout)["findings"]}
        assert found["broker"]["found"] == ours
        with redis.Redis.from_url(ours) as client:
            wait_until(lambda: client.llen("them"), SOON_S, "the task that was asked for")
    finally:
        worker.terminate()
        out, err = worker.communicate(timeout=SOON_S)
    assert worker.returncode == 0, out + err


@pytest.mark.parametrize("is_option", [True, False], ids=["--broker", "RANKMILL_BROKER"])
def test_celery_s_own_command_starts_the_worker_that_it_was_asked_for(
    theirs: dict[str, str], ours: str, tmp_path: Path, is_option: bool
) -> None:
    plain = Rankmill(tmp_path)
    decisive = {name: value for name, value in theirs.items() if not name.startswith(READ_BEFORE_US)}
    options = {name: theirs[name] for name in ("CELERY_WORKER_POOL", "CELERY_WORKER_QUEUES")}
    environment = plain.environment | decisive | options | {"RANKMILL_MODEL": "null"}
    plain("migrate")
    app = CELERY_WORKER[:-1]
    command = (*app, "--broker", ours, "worker") if is_option else CELERY_WORKER
    broker = {} if is_option else {"RANKMILL_BROKER": ours}
    worker = logged(tmp_path, command, environment | broker, "worker.log")
    beat = logged(tmp_path, CELERY_BEAT, environment | {"RANKMILL_BROKER": ours}, "beat.log")
    try:
        flags = write_inputs(tmp_path, num_documents=2, num_queries=1)
        wait_for(worker, tmp_path / "worker.log", "takes shards of model")
        plain("submit", *flags, RANKMILL_BROKER=ours)
        plain("watch", "1", RANKMILL_BROKER=ours)
        inspected = subprocess.run(
            [*app, "inspect", "ping"], env=environment | {"RANKMILL_BROKER": ours}, cwd=tmp_path, check=False
        )
        assert inspected.returncode == 0
        wait_for(beat, tmp_path / "beat.log", "asks sqlite")
    finally:
        end(worker, beat)
    assert (worker.returncode, beat.returncode) == (0, 0), (tmp_path / "worker.log").read_text()


def test_the_monitor_is_as_safe_as_ever(rankmill: Rankmill, ours: str, tmp_path: Path) -> None:
    port = free_port()
    metrics = tmp_path / "metrics-of-others"
    metrics.mkdir()
    own = {
        "RANKMILL_BROKER": ours,
        "RANKMILL_FLOWER_AUTH": "ann:correct-horse",
        "RANKMILL_FLOWER_PORT": str(port),
    }
    monitor = rankmill.start("monitor", **own, PROMETHEUS_MULTIPROC_DIR=str(metrics))
    try:
        stranger = Site(port)
        wait_until(lambda: stranger.answer("/healthcheck")[0] == 200, SOON_S, "the monitor")
        assert stranger.answer("/api/workers")[0] == stranger.answer("/workers")[0] == 401
        assert Site(port, "ann:correct-horse").answer("/workers")[0] == 200
        assert list(metrics.iterdir()) == []
    finally:
        monitor.terminate()
        monitor.communicate(timeout=SOON_S)


def test_a_program_that_uses_us_keeps_its_own_environment(
    rankmill: Rankmill, ours: str, tmp_path: Path
) -> None:
    """It may be another Celery application: what it reads stays as it is, and decides nothing for us."""
    write_inputs(tmp_path, num_documents=2, num_queries=1)
    program = """
import os, sys
before = dict(os.environ)
from rankmill import run, submit
assert len(list(run({"d": "a text"}, {"q": "a question"}, model="null"))) == 1
submit({"d": "another text"}, {"q": "a question"}, model="null", broker=sys.argv[1])
changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
assert not changed, changed
"""
    rankmill("migrate")
    decisive = {
        name: value for name, value in rankmill.environment.items() if not name.startswith(READ_BEFORE_US)
    }
    ended = subprocess.run(
        [sys.executable, "-c", program, ours],
        env=decisive,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    with redis.Redis.from_url(ours) as client:
        assert list(client.scan_iter("rankmill.null.*")), "the doorbell"


def test_the_store_is_where_its_url_says(postgres_url: str, tmp_path: Path) -> None:
    hostile = {
        **{"PGHOST": "192.0.2.1", "PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGDATABASE": "theirs"},
        **{"PGUSER": "theirs", "PGSERVICE": "theirs", "PGOPTIONS": "-c search_path=theirs -c role=none"},
        **{"PGCLIENTENCODING": "LATIN1", "PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German, DMY"},
        **{"PGTARGETSESSIONATTRS": "standby", "PGAPPNAME": "theirs", "PSYCOPG_IMPL": "theirs"},
    }
    rankmill = Rankmill(tmp_path)
    rankmill.environment |= hostile | {"RANKMILL_STORE": postgres_url}
    flags = write_inputs(tmp_path, num_documents=2, num_queries=1)
    rankmill("migrate")
    rankmill("run", *flags, "--output", "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


def test_a_library_s_host_keeps_its_variables_of_postgresql(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rankmill.db.store.opening import open_store

    hostile = {
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGOPTIONS": "-c search_path=theirs",
        "PGUSER": "theirs",
    }
    with monkeypatch.context() as environment:
        for name, value in (
            hostile | {"PGCLIENTENCODING": "LATIN1", "PGTARGETSESSIONATTRS": "standby"}
        ).items():
            environment.setenv(name, value)
        with open_store(postgres_url) as store:
            assert store.now() > 0
        assert os.environ["PGPORT"] == "1"

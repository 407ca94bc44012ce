"""A misbehaving receiver for tests: its process, which is started again when it dies, and what it holds."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.processes.web_page import Site
from tests.support.repository import ROOT
from tests.support.servers.dying import end_with_parent
from tests.support.servers.ports import free_port
from tests.support.waiting import wait_until


class Misbehaving:
    """The program of receiver_program on a port of its own; whatever it holds survives its deaths."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port, self.num_starts = folder, free_port(), 0
        self.url = f"http://127.0.0.1:{self.port}"
        self._is_ended = False
        self.process = self._start()
        self._keeper = threading.Thread(target=self._keep_running, daemon=True)
        self._keeper.start()
        wait_until(lambda: Site(self.port).answer("/")[0], 30, "the receiver to listen")

    def _start(self) -> "subprocess.Popen[bytes]":
        self.num_starts += 1
        command = [
            sys.executable,
            "-m",
            "tests.support.processes.receiver_program",
            str(self.port),
            str(self.folder),
        ]
        return subprocess.Popen(command, cwd=ROOT, preexec_fn=end_with_parent(signal.SIGKILL))

    def _keep_running(self) -> None:
        while True:
            self.process.wait()
            if self._is_ended:
                return
            self.process = self._start()

    def restart(self) -> None:
        """Ends it, with every connection it has, and waits for the next."""
        before = self.process.pid
        self.process.kill()
        wait_until(lambda: self.process.pid != before and Site(self.port).answer("/")[0], 30, "a new start")

    def end(self) -> None:
        self._is_ended = True
        self.process.kill()
        self._keeper.join()

    def plan(self, *steps: str) -> None:
        """What happens at the requests to come."""
        (self.folder / "plan.json").write_text(json.dumps(steps))

    def break_documents(self, ids: Sequence[str]) -> None:
        (self.folder / "broken.json").write_text(json.dumps(ids))

    def is_plan_done(self) -> bool:
        return not self._read("plan.json", [])

    def documents(self) -> dict[str, Any]:
        """What it holds, by id, without what was removed."""
        held = self._read("state.json", {})
        return {id_: kept["source"] for id_, kept in held.items() if kept["source"] is not None}

    def taken(self) -> list[dict[str, Any]]:
        """The plain posts it took: headers and body."""
        found: list[dict[str, Any]] = self._read("taken.json", [])
        return found

    def _read(self, name: str, otherwise: Any) -> Any:
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else otherwise


@contextmanager
def misbehaving(folder: Path) -> Iterator[Misbehaving]:
    receiver = Misbehaving(folder)
    try:
        yield receiver
    finally:
        receiver.end()

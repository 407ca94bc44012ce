"""A real worker as a child process, with its log, its pool's child and its end."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.support.repository import ROOT
from tests.support.waiting import wait_until

PYTHON_M_WORKER = (sys.executable, "-m", "rankmill.worker")
CELERY_WORKER = (sys.executable, "-m", "celery", "-A", "rankmill.worker.app", "worker")
START_S, STOP_S = 60.0, 30.0


class WorkerProcess:
    """One worker, of the null model by default; `settings` become RANKMILL_* variables, `variables` are as
    they are named.
    """

    def __init__(
        self,
        store_url: str,
        broker_url: str,
        log: Path,
        *,
        command: Sequence[str] = PYTHON_M_WORKER,
        model: str = "null",
        variables: Mapping[str, str] | None = None,
        **settings: object,
    ) -> None:
        self.log = log
        plain = {name: value for name, value in os.environ.items() if not name.startswith("RANKMILL_")}
        asked = {"store": store_url, "broker": broker_url, "model": model, **settings}
        ours = {f"RANKMILL_{name.upper()}": str(value) for name, value in asked.items()}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                list(command),
                cwd=ROOT,
                env=plain | ours | {"PYTHONFAULTHANDLER": "1"} | dict(variables or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def words(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, words: str, timeout_s: float = START_S) -> None:
        """Waits until its log says `words`."""
        wait_until(
            lambda: words in self.words() or not self.is_running(), timeout_s, f"the worker to say {words!r}"
        )
        assert words in self.words(), f"the worker ended without saying {words!r}:\n{self.words()}"

    def wait_until_ready(self) -> None:
        self.wait_for("listens on queue")
        self.wait_for("takes shards of model")

    def child_pid(self) -> int:
        """The pool's process, once there is one."""
        return wait_until(lambda: next(iter(self._children()), None), START_S, "the pool's process") or 0

    def _children(self) -> list[int]:
        try:
            children = psutil.Process(self.pid).children()
            return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]
        except psutil.NoSuchProcess:
            return []

    def everyone(self) -> list[psutil.Process]:
        """The worker and all it started."""
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]

    def is_running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """kill -9 of the worker's parent process only."""
        self.process.kill()
        self.process.wait()

    def wait_until_ended(self, timeout_s: float = STOP_S) -> int:
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker did not end within {timeout_s} s:\n{self.words()}") from None

    def stop(self) -> int:
        """SIGTERM and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_until_ended()


@contextmanager
def worker_process(
    store_url: str,
    broker_url: str,
    log: Path,
    *,
    command: Sequence[str] = PYTHON_M_WORKER,
    **settings: object,
) -> Iterator[WorkerProcess]:
    """A worker, just started; stopped at the end, and with all it started if it does not stop."""
    worker = WorkerProcess(store_url, broker_url, log, command=command, **settings)  # type: ignore[arg-type]
    try:
        yield worker
    finally:
        if worker.is_running():
            everyone = worker.everyone()
            worker.process.send_signal(signal.SIGTERM)
            try:
                worker.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                end_with_stacks(everyone)
                worker.process.wait()
                raise AssertionError(f"the worker did not stop:\n{worker.words()}") from None


def end_with_stacks(processes: Sequence[psutil.Process]) -> None:
    """Ends processes that hang; what each of their threads was doing stands in the log then."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGABRT)
    _, alive = psutil.wait_procs(processes, timeout=5)
    for process in alive:
        process.kill()

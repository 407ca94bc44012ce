"""Where rounds are played: a store, a broker and workers that live through all of them.

Whatever dies is started again, as a supervisor would do it. Knows processes; knows no fault and no check.
"""

import random
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select

from rankmill.db.errors import StoreError
from rankmill.db.schema.conditions import IS_OPEN
from rankmill.db.schema.shards import shards
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from tests.chaos.deliverer import DeliveryProcess
from tests.chaos.feed_reader import FeedReader
from tests.support.processes.worker_process import WorkerProcess, end_with_stacks
from tests.support.servers.killable import KillablePostgres, KillableRedis

HOOKS = Path(__file__).parent / "hooks"
LEASE_S = 2.0
SETTINGS: dict[str, Any] = {
    "lease_s": LEASE_S,
    "heartbeat_s": 0.5,
    "rescue_s": 0.5,
    "hang_s": 3,
    "drain_s": 4,
    "max_attempts": 5,
    "log_level": "INFO",
}
PACE_S = 0.04
CLAIM_TOKENS = 400
LOOK_S = 0.05
STOP_S = 40.0


class Environment:
    """`disk` is a small one of its own that the store lies on, `database` the server it lives in, if any.
    `longest_silence_s` is how long no shard had ended while some were open, since `begin_round`."""

    def __init__(
        self,
        store_url: str,
        folder: Path,
        *,
        num_workers: int,
        database: KillablePostgres | None = None,
        disk: Path | None = None,
    ) -> None:
        self.store: Store = open_store(store_url)
        self.folder, self.num_workers = folder, num_workers
        self.database, self.disk = database, disk
        self.broker = KillableRedis()
        self.workers: list[WorkerProcess] = []
        self.leaving: list[WorkerProcess] = []
        self.readers: dict[str, FeedReader] = {}
        self.deliverers: dict[str, DeliveryProcess] = {}
        self.hooks = {"PYTHONPATH": str(HOOKS), "CHAOS_FOLDER": str(folder)}
        self.num_started = 0
        self.longest_silence_s = 0.0
        self._num_ended = 0
        self._last_end_at = time.monotonic()
        for _ in range(num_workers):
            self.start_worker()

    def start_worker(self, **variables: str) -> WorkerProcess:
        """One more worker; `variables` are for its environment only."""
        self.num_started += 1
        pace = {"CHAOS_PACE_S": str(PACE_S), "CHAOS_CLAIM_TOKENS": str(CLAIM_TOKENS)}
        log = self.folder / f"worker-{self.num_started}.log"
        worker = WorkerProcess(
            self.store.url, self.broker.url, log, variables={**self.hooks, **pace, **variables}, **SETTINGS
        )
        self.workers.append(worker)
        return worker

    def any_worker(self, chance: random.Random) -> WorkerProcess:
        self.supervise()
        return chance.choice(self.workers)

    def replace(self, worker: WorkerProcess, **variables: str) -> WorkerProcess:
        """Lets a worker end when it likes; another, with `variables` in its environment, takes its place."""
        self.workers.remove(worker)
        self.leaving.append(worker)
        return self.start_worker(**variables)

    def supervise(self) -> None:
        """Starts anew what has died."""
        for worker in [worker for worker in self.workers if not worker.is_running()]:
            self.workers.remove(worker)
        while len(self.workers) < self.num_workers:
            self.start_worker()

    def begin_round(self) -> None:
        self._num_ended, self._last_end_at, self.longest_silence_s = 0, time.monotonic(), 0.0

    def pass_time(self, seconds: float) -> None:
        """Lets time go by, and looks after everyone."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.look()

    def look(self) -> None:
        self.supervise()
        self._listen()
        time.sleep(LOOK_S)

    def _listen(self) -> None:
        """Notes whether shards end, reads the feeds, and looks how far they are delivered."""
        with suppress(StoreError):
            for reader in self.readers.values():
                reader.read(self.store)
            for deliverer in self.deliverers.values():
                deliverer.listen(self.store)
        ended = select(func.count()).where(~IS_OPEN).select_from(shards)
        with suppress(StoreError), self.store.reading() as connection:
            num_ended = connection.execute(ended).scalar_one()
            if num_ended != self._num_ended:
                self._num_ended, self._last_end_at = num_ended, time.monotonic()
            self.longest_silence_s = max(self.longest_silence_s, time.monotonic() - self._last_end_at)

    def reader_of(self, ranking: str) -> FeedReader:
        """Who reads the feed of that ranking all the time."""
        return self.readers.setdefault(ranking, FeedReader(ranking))

    def deliverer_of(self, ranking: str) -> DeliveryProcess:
        """Who delivers that ranking to its receiver."""
        if ranking not in self.deliverers:
            self.deliverers[ranking] = DeliveryProcess(ranking, self.folder, self.hooks)
        return self.deliverers[ranking]

    def wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Whether `condition` came true in time; a store that is away is asked again."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with suppress(StoreError):
                if condition():
                    return True
            self.look()
        return False

    def words(self, num_chars: int = 3000) -> str:
        """The last words of the workers' logs."""
        logs = sorted(self.folder.glob("worker-*.log"), key=lambda log: log.stat().st_mtime)[-4:]
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-num_chars:]}" for log in logs)

    def end(self) -> list[str]:
        """Stops everyone softly; gives what is wrong with how they ended."""
        complaints = []
        for deliverer in self.deliverers.values():
            deliverer.end()
        for worker in self.workers:
            worker.process.terminate()
        for worker in [*self.workers, *self.leaving]:
            try:
                worker.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                end_with_stacks(worker.everyone())
                worker.process.wait()
                complaints.append(f"{worker.log.name} did not stop:\n{worker.words()[-12_000:]}")
        complaints += [
            f"{worker.log.name}: exit code {worker.process.returncode}"
            for worker in self.workers
            if worker.process.returncode != 0
        ]
        complaints += [f"left behind: {process}" for process in self.left_behind()]
        self.store.close()
        self.broker.end()
        return complaints

    def left_behind(self) -> list[psutil.Process]:
        """Processes of ours that are still there after a while; ended then."""
        deadline = time.monotonic() + STOP_S
        while (left := self.ours()) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return left

    def ours(self) -> list[psutil.Process]:
        """Every process that a worker of this environment has started, or is."""
        return [
            process
            for process in psutil.process_iter(["environ"])
            if (process.info["environ"] or {}).get("CHAOS_FOLDER") == str(self.folder)
            and process.status() != psutil.STATUS_ZOMBIE
        ]

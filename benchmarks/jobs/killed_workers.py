"""A job of 100,000 pairs with a worker killed every five seconds, to its right end, against a calm run.

Of four workers the one that has been at work longest is killed (kill -9) and started again at once, as a
supervisor would; a kill waits for one that is at work, so that each costs something however long workers take
to start. They have the null scorer, made slow by the chaos suite's hooks.
Run: python -m benchmarks.jobs.killed_workers --on sqlite
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from sqlalchemy import and_, func, select

from benchmarks import processes
from benchmarks.jobs.million_pairs import private_redis, store_url, write_inputs
from benchmarks.report import publish
from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.schema.conditions import IS_CLAIMED, IS_OPEN
from rankmill.db.schema.shards import shards, workers
from rankmill.db.schema.texts_and_scores import scores
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store

NUM_WORKERS = 4
HOOKS = Path(__file__).parents[2] / "tests" / "chaos" / "hooks"
INPUTS = ("corpus.jsonl", "queries.jsonl", "candidates.tsv")
LOOK_S = 0.2
END_S = 3600.0


class Supervised:
    """Workers that are started again when they end. Its log is one for all."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment, self._log = {**os.environ, **environment}, log
        self._workers = [self._start() for _ in range(NUM_WORKERS)]
        self.num_killed = 0

    def _start(self) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "rankmill.worker"], env=self._environment, stdout=log, stderr=log
            )

    def kill_who_works(self, store: Store) -> bool:
        """kill -9 of the one at work that came first; another takes its place. False when none is."""
        at_work = (
            select(workers.c.pid)
            .join(shards, and_(shards.c.claimant == workers.c.id, IS_CLAIMED))
            .order_by(workers.c.id)
        )
        with store.reading() as connection:
            scoring = connection.execute(at_work).scalars().all()
        ours = {worker.pid: worker for worker in self._workers}
        victim = next(filter(None, map(ours.get, map(parent_of, scoring))), None)
        if victim is None:
            return False
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        self.num_killed += 1
        self._workers.remove(victim)
        self._workers.append(self._start())
        return True

    def end(self) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.wait(120)


def parent_of(pid: int) -> int:
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--model", default="null")
    parser.add_argument("--pace", type=float, default=0.3, help="seconds the null scorer takes for a shard")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--candidates", type=int, default=100, help="per query")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between kills")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="killed-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_inputs(folder, asked.queries, asked.documents, asked.candidates, num_words=(60, 140))
        slow = {"PYTHONPATH": str(HOOKS), "CHAOS_PACE_S": str(asked.pace), "CHAOS_CLAIM_TOKENS": "65536"}
        calm_rows, calm = measure(asked.on, folder / "calm", folder, asked.model, slow, None)
        killed_rows, killed = measure(asked.on, folder / "killed", folder, asked.model, slow, asked.every)
        left_behind = len(of_folder(folder))
    differences = [abs(logit - killed[pair]) for pair, logit in calm.items() if pair in killed]
    rows = [
        ("pairs", len(calm)),
        ("pairs lost", len(calm.keys() - killed.keys())),
        ("pairs never asked for", len(killed.keys() - calm.keys())),
        ("logits equal to the calm run's, bit for bit", sum(difference == 0 for difference in differences)),
        ("largest difference of a logit", f"{max(differences):.1e}"),
        *((f"calm run: {what}", figure) for what, figure in calm_rows),
        *((f"killed run: {what}", figure) for what, figure in killed_rows),
        ("processes left behind", left_behind),
    ]
    notes = (
        f"Model {asked.model}, {asked.pace:g} s a shard; {NUM_WORKERS} workers with default settings; one "
        f"at work was killed every {asked.every:g} s and started again at once. "
        "Killed was the parent process; its child ended with it."
    )
    title = f"{len(calm):,} pairs with a worker killed every {asked.every:g} s, {asked.on}"
    publish(f"killed_workers_{asked.on}", title, ("what", "figure"), rows, notes)
    if calm.keys() != killed.keys() or left_behind:
        raise SystemExit("the killed run ended otherwise than the calm one")


def measure(
    on: str, folder: Path, inputs: Path, model: str, slow: Mapping[str, str], every_s: float | None
) -> tuple[list[tuple[str, object]], dict[tuple[str, str], float]]:
    """What a run cost, and its logits by pair; calm without `every_s`."""
    folder.mkdir(mode=0o755)
    with store_url(on, folder, None) as url, private_redis(folder) as broker:
        environment = {"RANKMILL_STORE": url, "RANKMILL_BROKER": broker, "RANKMILL_MODEL": model}
        processes.run([*processes.RANKMILL, "migrate"], environment)
        files = [f"--{Path(file).stem}={inputs / file}" for file in INPUTS]
        _, _, output = processes.run([*processes.RANKMILL, "submit", *files, "--json"], environment)
        job_id = int(json.loads(output)["job_id"])
        with open_store(url) as store:
            num_shards = count(store, shards.c.job_id == job_id)
            started = time.monotonic()
            supervised = Supervised({**environment, **slow}, folder / "log")
            try:
                while_it_lasts(store, job_id, supervised, every_s)
                seconds = time.monotonic() - started
            finally:
                supervised.end()
            rows = [("seconds", seconds), ("kills", supervised.num_killed), *spent(store, job_id, num_shards)]
        results = folder / "results.jsonl"
        output_flags = ["--output", str(results)]
        processes.run([*processes.RANKMILL, "results", str(job_id), *output_flags], environment)
    logits: dict[tuple[str, str], float] = {}
    with results.open() as lines:
        for line in map(json.loads, lines):
            pair = (line["query_id"], line["document_id"])
            if pair in logits or line["logit"] is None:
                raise SystemExit(f"{pair} shows twice or has no score")
            logits[pair] = line["logit"]
    return rows, logits


def while_it_lasts(store: Store, job_id: int, supervised: Supervised, every_s: float | None) -> None:
    """Kills every so often until the job has ended."""
    started = killed_at = time.monotonic()
    while job_progress(store, job_id).state is JobState.ACTIVE:
        now = time.monotonic()
        if now - started > END_S:
            raise SystemExit(f"not over after {END_S:g} s")
        if every_s is not None and now - killed_at >= every_s:
            killed_at = now if supervised.kill_who_works(store) else killed_at
        time.sleep(LOOK_S)


def spent(store: Store, job_id: int, num_shards: int) -> list[tuple[str, object]]:
    """What the job's shards took."""
    of_job = shards.c.job_id == job_id
    burned = func.sum(shards.c.attempt - shards.c.num_releases)
    with store.reading() as connection:
        num_ended, num_attempts, num_claims = connection.execute(
            select(func.count(), burned, func.sum(shards.c.attempt)).where(of_job, ~IS_OPEN)
        ).one()
        num_scores = connection.scalar(select(func.count()).where(scores.c.job_id == job_id))
    return [
        ("shards", num_shards),
        ("shards in the end, after cutting suspects", num_ended),
        ("attempts lost", int(num_attempts) - num_ended),
        ("claims beyond one for each shard", int(num_claims) - num_ended),
        ("scores stored", num_scores),
        ("shards left open", count(store, of_job & IS_OPEN)),
    ]


def count(store: Store, condition: object) -> int:
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(shards).where(condition)) or 0  # type: ignore[arg-type]


def of_folder(folder: Path) -> list[psutil.Process]:
    """Processes that were started for this measurement and are still there."""
    return [
        process
        for process in psutil.process_iter(["environ"])
        if str(folder) in str(process.info["environ"] or "")
    ]


if __name__ == "__main__":
    main()

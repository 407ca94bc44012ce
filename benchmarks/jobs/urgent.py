"""An urgent job of 50 pairs among a million that are queued and being drained: when does it start, and end?

Run: python -m benchmarks.jobs.urgent --on postgresql; with --model demo --queries 1000 a model is at work.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sqlalchemy import case, func, select

from benchmarks import processes
from benchmarks.jobs.million_pairs import private_redis, store_url, write_inputs
from benchmarks.report import publish
from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.schema.conditions import IS_OPEN
from rankmill.db.schema.shards import shards
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store

LOOK_S = 0.005
END_S = 600.0
NUM_URGENT = 5
NUM_PAIRS = 50


class Seen(NamedTuple):
    """What became of an urgent job, in seconds from the moment it was visible, and shards of the large job
    that ended meanwhile.
    """

    started_s: float
    ended_s: float
    num_until_start: int
    num_until_end: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--model", default="null")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--candidates", type=int, default=50, help="per query")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="urgent-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_inputs(folder, asked.queries, asked.documents, asked.candidates)
        with store_url(asked.on, folder, None) as url, private_redis(folder) as broker:
            environment = {"RANKMILL_STORE": url, "RANKMILL_BROKER": broker, "RANKMILL_MODEL": asked.model}
            seen, num_shards = measure(folder, environment)
    num_pairs = asked.queries * asked.candidates
    rows: list[tuple[object, ...]] = [
        ("pairs of the large job", num_pairs),
        ("its shards", num_shards),
        ("urgent jobs, one after another", len(seen)),
        ("pairs of each", NUM_PAIRS),
    ]
    for what, figures in (
        ("from visible to first claim, s", [one.started_s for one in seen]),
        ("from visible to the end, s", [one.ended_s for one in seen]),
        ("shards of the large job that ended before the first claim", [one.num_until_start for one in seen]),
        ("shards of the large job that ended before the end", [one.num_until_end for one in seen]),
    ):
        rows.append((f"{what}: median", float(median(figures))))
        rows.append((f"{what}: most", max(figures)))
    publish(
        f"urgent_{asked.model}_{asked.on}",
        f"An urgent job among {num_pairs:,} queued pairs, {asked.model} scorer, {asked.on}",
        ("what", "figure"),
        rows,
        "One worker with the default settings. Other work ran on the machine.",
    )


def measure(folder: Path, environment: dict[str, str]) -> tuple[list[Seen], int]:
    """The urgent jobs, each submitted when the one before has ended and the large job still goes on."""
    processes.run([*processes.RANKMILL, "migrate"], environment)
    large = submit(folder, environment, [f"--candidates={folder / 'candidates.tsv'}"])
    seen = []
    with (folder / "log").open("wb") as log, open_store(environment["RANKMILL_STORE"]) as store:
        worker = subprocess.Popen(
            [*processes.RANKMILL, "worker"], env={**os.environ, **environment}, stdout=log, stderr=log
        )
        try:
            wait_for(store, large, large, lambda now: now.num_of_large > 0)
            for number in range(NUM_URGENT):
                if job_progress(store, large).state is not JobState.ACTIVE:
                    break
                seen.append(urgent(store, folder, environment, large, number))
            num_shards = look(store, large, large).num_shards
        finally:
            worker.terminate()
            worker.wait(120)
    return seen, num_shards


def urgent(store: Store, folder: Path, environment: dict[str, str], large: int, number: int) -> Seen:
    """Submits one urgent job from a process of its own and watches it."""
    candidates = folder / f"urgent-{number}.tsv"
    # Pairs that the large job does not have: nothing of them is scored already.
    candidates.write_text("".join(f"u{number}\td{document}\n" for document in range(NUM_PAIRS)))
    queries = folder / f"urgent-{number}.jsonl"
    queries.write_text(json.dumps({"_id": f"u{number}", "text": f"urgent question {number}"}) + "\n")
    flags = [f"--candidates={candidates}", "--priority=high", f"--name=urgent-{number}"]
    with ThreadPoolExecutor(1) as thread:
        submitted = thread.submit(submit, folder, environment, flags, queries)
        job_id = large + 1 + number
        visible = wait_for(store, large, job_id, lambda now: now.num_shards > 0)
        started = wait_for(store, large, job_id, lambda now: now.num_claims > 0)
        ended = wait_for(store, large, job_id, lambda now: now.num_open == 0)
        assert submitted.result() == job_id
    return Seen(
        started_s=started.at - visible.at,
        ended_s=ended.at - visible.at,
        num_until_start=started.num_of_large - visible.num_of_large,
        num_until_end=ended.num_of_large - visible.num_of_large,
    )


def submit(folder: Path, environment: dict[str, str], flags: list[str], queries: Path | None = None) -> int:
    inputs = [f"--corpus={folder / 'corpus.jsonl'}", f"--queries={queries or folder / 'queries.jsonl'}"]
    _, _, output = processes.run([*processes.RANKMILL, "submit", *inputs, *flags, "--json"], environment)
    return int(json.loads(output)["job_id"])


class Look(NamedTuple):
    """A job's shards at a moment, and how many of the large job have ended."""

    at: float
    num_shards: int
    num_claims: int
    num_open: int
    num_of_large: int


def look(store: Store, large: int, job_id: int) -> Look:
    of_job = select(
        func.count(),
        func.coalesce(func.sum(shards.c.attempt), 0),
        func.coalesce(func.sum(case((IS_OPEN, 1), else_=0)), 0),
    ).where(shards.c.job_id == job_id)
    of_large = select(func.count()).where(shards.c.job_id == large, ~IS_OPEN)
    with store.reading() as connection:
        num_shards, num_claims, num_open = connection.execute(of_job).one()
        num_of_large = connection.scalar(of_large.select_from(shards)) or 0
    return Look(time.monotonic(), num_shards, int(num_claims), int(num_open), num_of_large)


def wait_for(store: Store, large: int, job_id: int, condition: Callable[[Look], bool]) -> Look:
    """The first look that `condition` is true of."""
    deadline = time.monotonic() + END_S
    while time.monotonic() < deadline:
        now = look(store, large, job_id)
        if condition(now):
            return now
        time.sleep(LOOK_S)
    raise SystemExit(f"waited {END_S:g} s in vain")


if __name__ == "__main__":
    main()

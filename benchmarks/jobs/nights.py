"""Nights of a knowledge base through real processes: the first scores all, the next only what changed.

`kb` ranks 20,000 documents, 300 queries and 50 candidates each with a model of 6 layers x 384 and random
weights. `million` is one million pairs of short texts with the null scorer: what skipping them costs, and
what looking their scores up costs in SQL and in a Redis in front of it.
Run: python -m benchmarks.jobs.nights kb --on sqlite; python -m benchmarks.jobs.nights million --on postgresql
"""

import argparse
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from benchmarks import processes
from benchmarks.jobs.million_pairs import WORDS, private_redis, store_url, write_inputs
from benchmarks.report import publish
from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobProgress, JobState
from rankmill.db.scorers.model_files import DEMO_MODEL, model_directory
from rankmill.db.store.bulk import chunks, run, stream
from rankmill.db.store.opening import open_store

Night = tuple[float, float, JobProgress, int]
FIRED_TO_DONE = """
SELECT jobs.finished_at - schedule_runs.created_at
FROM schedule_runs JOIN jobs ON jobs.id = schedule_runs.job_id WHERE jobs.id = ?
"""
LOOKUP = """
SELECT scores.document_text_id, scores.query_text_id, scores.logit
FROM pairs
JOIN job_queries ON job_queries.job_id = pairs.job_id AND job_queries.query_no = pairs.query_no
JOIN job_documents ON job_documents.job_id = pairs.job_id AND job_documents.document_no = pairs.document_no
JOIN scores ON scores.scorer_id = 1
    AND scores.document_text_id = job_documents.text_id AND scores.query_text_id = job_queries.text_id
WHERE pairs.job_id = 1
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("kb", "million"))
    parser.add_argument("--on", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--words", type=int, default=40, help="of a document, on average; kb only")
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--queries", type=int, help="300, or 20,000 of the million")
    arguments = parser.parse_args()
    num_queries = arguments.queries or (300 if arguments.part == "kb" else 20_000)
    with tempfile.TemporaryDirectory(prefix="nights-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_inputs(folder, num_queries, arguments.documents, 50)
        with store_url(arguments.on, folder, None) as url, private_redis(folder) as broker:
            environment = {"RANKMILL_STORE": url, "RANKMILL_BROKER": broker, "RANKMILL_MODEL": "null"}
            if arguments.part == "kb":
                write_documents(folder, arguments.documents, arguments.words)
                environment["RANKMILL_MODEL"] = str(make_model(folder / "model"))
            place = Place(folder, environment)
            place.set_up()
            measure = knowledge_base if arguments.part == "kb" else million
            measure(place, arguments.on)


class Place:
    """A store with a collection, a query set and a schedule, and the commands that work on it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment
        self.store_url = environment["RANKMILL_STORE"]

    def command(self, *arguments: str) -> tuple[float, processes.Watched, str]:
        return processes.run([*processes.RANKMILL, *arguments], self.environment)

    def sync(self) -> float:
        seconds, _, _ = self.command(
            "collection", "sync", "kb", "--corpus", str(self.folder / "corpus.jsonl")
        )
        return seconds

    def set_up(self) -> None:
        self.command("migrate")
        self.sync()
        self.command("queryset", "sync", "faq", "--queries", str(self.folder / "queries.jsonl"))
        what = ["--collection", "kb", "--query-set", "faq"]
        run_file = ["--candidates", str(self.folder / "candidates.tsv")]
        self.command("schedule", "add", "kb", "--cron", "0 2 * * *", *what, *run_file)

    def night(self) -> Night:
        """Makes the ranking now: seconds from the start of the command, and from the firing, to the end of
        its job; how that stood then, and the command's peak memory.
        """
        started = time.monotonic()
        _, watched, output = self.command("schedule", "run-now", "kb", "--json")
        job_id = int(json.loads(output)["job_id"])
        with open_store(self.store_url) as store:
            while (row := job_progress(store, job_id)).state is JobState.ACTIVE:
                time.sleep(0.1)
            seconds = time.monotonic() - started
            with store.reading() as connection:
                fired_to_done: float = run(connection, FIRED_TO_DONE, job_id).fetchone()[0]
        return seconds, fired_to_done, row, max(watched.peak_bytes.values())

    @contextmanager
    def worker(self) -> Iterator[None]:
        started = processes.start([*processes.RANKMILL, "worker"], self.environment)
        try:
            yield
        finally:
            started.process.terminate()
            started.process.communicate(timeout=120)


def knowledge_base(place: Place, on: str) -> None:
    rows: list[tuple[object, ...]] = []

    def tell(what: str, sync_s: float, night: Night) -> None:
        seconds, fired_to_done, row, _ = night
        rows.append(
            (
                what,
                sync_s,
                seconds,
                fired_to_done,
                row.num_scored,
                row.num_reused,
                row.num_failed,
                row.num_shards,
            )
        )
        print(rows[-1], flush=True)

    with place.worker():
        tell("first night: everything is new", 0.0, place.night())
        tell("nothing changed", place.sync(), place.night())
        change_documents(place.folder, every=100)
        tell("1 % of the documents changed", place.sync(), place.night())
    tell("nothing changed, and no worker there", place.sync(), place.night())
    share = float(str(rows[1][3])) / float(str(rows[0][3]))
    publish(
        f"nights_{on}",
        f"20,000 documents, 300 queries, 50 candidates each: nights of a model of 6x384, {on}",
        ("night", "sync, s", "run-now to end, s", "firing to end, s", "scored", "reused", "failed", "shards"),
        rows,
        "`sync` and `run-now` are commands and begin with starting Python; a beat fires without that. "
        "Without shards no worker is asked and nothing is computed. From its firing to the end of its job "
        f"the second night takes {share:.2%} of the first.",
    )


def million(place: Place, on: str) -> None:
    with place.worker():
        first_s, _, first, _ = place.night()
    skipped_s, fired_s, second, peak = place.night()
    again_s, fired_again_s, third, peak_again = place.night()
    assert second.num_reused == third.num_reused == first.num_pairs
    rows: list[tuple[object, ...]] = [
        ("pairs", first.num_pairs),
        ("first night with the null scorer, s", first_s),
        ("unchanged night without any worker, from its firing to the end of its job, s", fired_s),
        ("the same once more, s", fired_again_s),
        ("the same two with the start of Python and the publication of a million pairs, s", skipped_s),
        ("", again_s),
        ("peak memory of the submitting process, MB", int(max(peak, peak_again) / 1e6)),
        *lookups(place),
    ]
    publish(f"nights_million_{on}", f"One million unchanged pairs, {on}", ("what", "figure"), rows)


def lookups(place: Place) -> list[tuple[object, ...]]:
    """Every score of the first job, from SQL and from a Redis that was filled with them."""
    with open_store(place.store_url) as store, store.reading() as connection:
        sql_s, num_found = timed(lambda: sum(1 for _ in stream(connection, LOOKUP)))
        in_database_s, _ = timed(
            lambda: run(connection, f"SELECT count(*) FROM ({LOOKUP}) AS found").fetchone()
        )
        found: list[Sequence[Any]] = list(stream(connection, LOOKUP))
    client = redis.Redis(
        unix_socket_path=place.environment["RANKMILL_BROKER"].removeprefix("redis+socket://")
    )

    def fill() -> None:
        for part in chunks(found, 5_000):
            with client.pipeline(transaction=False) as pipe:
                for document, query, logit in part:
                    pipe.set(f"1:{document}:{query}", str(logit), ex=86_400)
                pipe.execute()

    def ask() -> int:
        return sum(
            value is not None
            for part in chunks(found, 5_000)
            for value in client.mget([f"1:{document}:{query}" for document, query, _ in part])
        )

    before = int(client.info("memory")["used_memory"])
    fill_s, _ = timed(fill)
    ask_s, num_cached = timed(ask)
    used = int(client.info("memory")["used_memory"]) - before
    assert num_found == num_cached
    return [
        ("lookup of all in SQL, inside the database, s", in_database_s),
        ("lookup of all in SQL, sent to the process, s", sql_s),
        ("lookup of all in Redis by MGET of 5,000, s", ask_s),
        ("filling that Redis, s", fill_s),
        ("memory of that Redis, MB", int(used / 1e6)),
    ]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.monotonic()
    value = work()
    return time.monotonic() - started, value


def write_documents(folder: Path, num_documents: int, num_words: int) -> None:
    chance = random.Random(2)
    with (folder / "corpus.jsonl").open("w") as corpus:
        for number in range(num_documents):
            words = chance.choices(WORDS, k=chance.randint(num_words // 2, num_words * 3 // 2))
            corpus.write(json.dumps({"_id": f"d{number}", "text": f"{' '.join(words)} {number}"}) + "\n")


def change_documents(folder: Path, every: int) -> None:
    lines = (folder / "corpus.jsonl").read_text().splitlines()
    for position in range(0, len(lines), every):
        document = json.loads(lines[position])
        lines[position] = json.dumps({**document, "text": f"{document['text']} amended"})
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")


def make_model(directory: Path) -> Path:
    """A cross-encoder of 6 layers x 384 with random weights and the demonstration model's tokenizer."""
    import transformers

    demo = model_directory(DEMO_MODEL)
    assert demo is not None
    config: Any = transformers.AutoConfig.from_pretrained(demo)
    config.update({"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12})
    config.update({"intermediate_size": 1536, "dtype": "float32"})
    factory: Any = transformers.AutoModelForSequenceClassification
    factory.from_config(config).save_pretrained(directory)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(demo / name, directory)
    return directory


if __name__ == "__main__":
    main()

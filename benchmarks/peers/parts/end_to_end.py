"""From store to store against the engine alone: the same pairs by a worker and by the bare engine, in turn.

A worker's seconds go from the job's record in the database to its last landing, both by the database's clock.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from sqlalchemy import select

from benchmarks import processes
from benchmarks.jobs.million_pairs import private_redis
from benchmarks.peers.contest import Contest, say, scratch
from benchmarks.peers.line_up import OURS, ours
from benchmarks.peers.plan import Plan
from benchmarks.peers.workloads import Workload, even
from benchmarks.report import publish
from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.schema.jobs import jobs
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store

# Several claims' worth, as far as minutes go.
CPU_PAIRS = {"2x64": 256, "demo": 1024, "6x384": 512, "12x768": 128}
CUDA_PAIRS = 16_384
WARM_UP_PAIRS = 8
JOB_TIMEOUT_S = 900


@dataclass(frozen=True)
class Outcome:
    """Median seconds both ways, for so many tokens, and the peak memory of the worker's child."""

    alone_s: float
    whole_s: float
    num_tokens: int
    peak_bytes: int
    source: str

    @property
    def share(self) -> float:
        return self.alone_s / self.whole_s


def measure(plan: Plan, size: str) -> None:
    num_pairs = plan.pairs or (CUDA_PAIRS if plan.is_cuda else CPU_PAIRS.get(size, 32))
    found = run(plan, size, num_pairs)
    table = [
        ("engine alone", found.alone_s, int(found.num_tokens / found.alone_s), ""),
        ("store to store", found.whole_s, int(found.num_tokens / found.whole_s), f"{found.share:.1%}"),
    ]
    publish(
        f"end_to_end_{plan.place}_{Path(size).name}",
        f"{size}: store to store against the engine alone on {plan.place}",
        ("way", "median, s", "tokens/s", "of the engine alone"),
        table,
        f"{num_pairs} pairs, {found.num_tokens:,} tokens, {found.source}; SQLite, one worker that has its "
        f"model loaded; median of {plan.rounds} rounds, alternated. Peak memory of the worker's child: "
        f"{int(found.peak_bytes / 1e6):,} MB.",
    )


def run(plan: Plan, size: str, num_pairs: int) -> Outcome:
    """Both ways, in turn, round after round."""
    workload = even(256, 512, num_pairs)
    terms = plan.terms(size, workload.max_length)
    alone: list[float] = []
    whole: list[float] = []
    with (
        scratch() as folder,
        Contest([ours("auto")], terms, Path(folder)) as contest,
        _worker(Path(folder), terms.model, plan.device) as (store, environment, watched),
    ):
        _score(store, environment, _asked_anew(workload.first(WARM_UP_PAIRS), "warm-up"), Path(folder))
        engine = contest.named(OURS)
        for number in range(plan.rounds):
            # Other words in the questions, or the store would know the scores already.
            anew = _asked_anew(workload, f"round {number}")
            contest.run(anew, 1)
            if engine.seconds is None:
                raise RuntimeError(f"the engine alone: {engine.out}")
            alone.append(engine.seconds)
            whole.append(_score(store, environment, anew, Path(folder)))
            say(f"end to end round {number + 1}: {whole[-1]:.2f} s, alone {alone[-1]:.2f} s")
        peak = max(size for name, size in watched.peak_bytes.items() if name.startswith("worker child"))
    num_tokens = sum(engine.last["lengths"])
    return Outcome(median(alone), median(whole), num_tokens, peak, workload.source)


def _asked_anew(workload: Workload, words: str) -> Workload:
    return replace(workload, pairs=[(f"{words}: {query}", document) for query, document in workload.pairs])


@contextmanager
def _worker(
    folder: Path, model: Path, device: str
) -> Iterator[tuple[Store, dict[str, str], processes.Watched]]:
    with private_redis(folder) as broker:
        environment = {
            "RANKMILL_STORE": f"sqlite:///{folder / 'store.db'}",
            "RANKMILL_BROKER": broker,
            "RANKMILL_MODEL": str(model),
            "RANKMILL_MAX_LENGTH": "512",
            "RANKMILL_LONG_DOCUMENTS": "truncate",
        }
        if not device.startswith("cuda"):
            environment["CUDA_VISIBLE_DEVICES"] = ""
        processes.run([*processes.RANKMILL, "migrate"], environment)
        watched = processes.start([*processes.RANKMILL, "worker"], environment)
        store = open_store(environment["RANKMILL_STORE"])
        try:
            yield store, environment, watched
        finally:
            store.close()
            watched.process.terminate()
            watched.process.communicate(timeout=60)


def _score(store: Store, environment: dict[str, str], workload: Workload, folder: Path) -> float:
    """Seconds from the job's record to its last landing."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        inputs = _write_inputs(Path(name), workload.pairs)
        command = [*processes.RANKMILL, "submit", *inputs, "--json"]
        _, _, output = processes.run(command, environment)
    job_id = int(json.loads(output)["job_id"])
    deadline = time.monotonic() + JOB_TIMEOUT_S
    while (row := job_progress(store, job_id)).state is JobState.ACTIVE:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the job was not done in {JOB_TIMEOUT_S} s")
        time.sleep(0.2)
    assert row.num_failed == 0, row
    assert row.num_scored == row.num_pairs, row
    with store.reading() as connection:
        begun, ended = connection.execute(
            select(jobs.c.created_at, jobs.c.finished_at).where(jobs.c.id == job_id)
        ).one()
    return float(ended - begun)


def _write_inputs(folder: Path, pairs: Sequence[tuple[str, str]]) -> list[str]:
    documents = {document: f"d{number}" for number, document in enumerate(dict.fromkeys(d for _, d in pairs))}
    queries = {query: f"q{number}" for number, query in enumerate(dict.fromkeys(q for q, _ in pairs))}
    (folder / "corpus.jsonl").write_text(_lines(documents))
    (folder / "queries.jsonl").write_text(_lines(queries))
    (folder / "candidates.tsv").write_text("".join(f"{queries[q]}\t{documents[d]}\n" for q, d in pairs))
    arguments = ["--corpus", str(folder / "corpus.jsonl"), "--queries", str(folder / "queries.jsonl")]
    return [*arguments, "--candidates", str(folder / "candidates.tsv")]


def _lines(texts: dict[str, str]) -> str:
    return "".join(json.dumps({"_id": name, "text": text}) + os.linesep for text, name in texts.items())

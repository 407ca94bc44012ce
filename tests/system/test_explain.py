"""`rankmill explain`: what made a score, and whether the same comes out again."""

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from rankmill.db.jobs.find import find_job
from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.landing import complete
from rankmill.db.records.inputs import DocumentRow, QueryRow
from rankmill.db.records.jobs import JobRequest
from rankmill.db.records.pairs import PairFailure
from rankmill.db.records.scorers import LongDocuments
from rankmill.db.records.shards import ShardResult
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import open_draft
from rankmill.worker.checks.rescore import rescore
from tests.support.jobs.small_jobs import Slicer, StandIn
from tests.support.processes.rankmill_command import Rankmill, in_process
from tests.support.repository import ROOT

DEMO = ROOT / "worker" / "models" / "demo"
QUESTION = "Can a party terminate this contract without cause?"
NOTICE = "Either party may terminate this Agreement upon thirty days' written notice 🙂. "
LONG = "The supplier shall deliver the goods without delay. " * 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explain")


@pytest.fixture(scope="module")
def made(folder: Path) -> Rankmill:
    """A store with a job of three documents, scored by a copy of the demo model, and one that failed."""
    shutil.copytree(DEMO, folder / "model")
    rows = [
        {"id": "long", "title": "Supply 🤝", "text": LONG + NOTICE + LONG},
        {"id": "short", "title": "Lease", "text": "Rent is due monthly."},
        {"id": "nothing", "text": "\u200b"},
    ]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "queries.tsv").write_text(f"q1\t{QUESTION}\n")
    rankmill = Rankmill(folder)
    inputs = ["--corpus", "corpus.jsonl", "--queries", "queries.tsv", "--all-pairs", "--model", "model"]
    said = rankmill("run", *inputs, "--max-length", "128", "--name", "night", "--output", "out.jsonl").stderr
    assert "1 of 3 pairs needed windows; nothing was cut" in said
    with open_store(rankmill.store_url) as store:
        fail_strictly(store)
    return rankmill


def fail_strictly(store: Store) -> None:
    """As if the long document's pair had been refused by a job that wants no windows."""
    spec = replace(job_progress(store, find_job(store, "night")).scorer, long_documents=LongDocuments.ERROR)
    with open_draft(store) as drafted:
        drafted.add_queries([QueryRow("q1", QUESTION, 1)])
        drafted.use_all_pairs()
        drafted.add_documents([DocumentRow("long", LONG + NOTICE + LONG, 0, 1)])
        drafted.record(JobRequest(key="strict", name="strict", scorer=spec), Slicer(1))
    worker = StandIn(store, scorer_id=2, model=spec.model)
    [held] = worker.claim()
    [pair] = load(store, held).pairs
    failures = [PairFailure(*pair, "too long; use --long-documents windows")]
    complete(store, worker.engine_id, [ShardResult(claim=held, scores=[], failures=failures, num_tokens=0)])


@pytest.fixture
def _worker_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's side answers in this process, which has its libraries loaded already."""

    def ask(settings: Settings, model: str, words: Sequence[str], question: object) -> dict[str, Any]:
        assert list(words) == ["rescore"]
        said = io.StringIO()
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdin", io.StringIO(json.dumps(question)))
            patched.setattr("sys.stdout", said)
            rescore()
        found = json.loads(said.getvalue())
        assert isinstance(found, dict)
        return found

    monkeypatch.setattr("rankmill.producer.diagnostics.rescore.ask_worker", ask)


class Explain:
    """The command in this process: what it says, or its JSON."""

    def __init__(self, store_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._store_url, self._capsys = store_url, capsys

    def __call__(self, *words: str, exit_code: int = 0) -> str:
        code = in_process("explain", *words, "--store", self._store_url)
        said = self._capsys.readouterr()
        assert code == exit_code, said
        return said.err if exit_code == 2 else said.out

    def facts(self, *words: str, exit_code: int = 0) -> dict[str, Any]:
        found = json.loads(self(*words, "--json", exit_code=exit_code))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def explain(made: Rankmill, _worker_at_hand: None, capsys: pytest.CaptureFixture[str]) -> Explain:
    return Explain(made.store_url, capsys)


def test_a_score_is_explained_and_comes_out_the_same_again(made: Rankmill, folder: Path) -> None:
    found = json.loads(made("explain", "night", "q1", "long", "--json").stdout)
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    [stored] = [line for line in lines if line["document_id"] == "long"]
    score = found["score"]
    assert (score["logit"], score["num_windows"]) == (stored["logit"], stored["num_windows"])
    assert {"start": score["span_start"], "end": score["span_end"]} == stored["span"]
    own = (LONG + NOTICE + LONG)[score["span_start"] : score["span_end"]]
    assert score["span_text"] == own
    assert found["scorer"]["window_ends"] == "boundaries"
    assert len(score["engine"]["weights_digest"]) == len(score["engine"]["tokenizer_digest"]) == 64
    assert found["recomputed"]["verdict"].startswith(("the same", "agrees"))


def test_it_is_explained_in_words_for_people(explain: Explain) -> None:
    said = explain("night", "q1", "long")
    assert "nothing was cut" in said
    assert "terminate this Agreement" in said
    assert "[0, 20) of the document's own text, read with its title:" in explain("night", "q1", "short")


def test_a_failed_pair_is_explained_by_its_reason_and_fails_again(explain: Explain) -> None:
    found = explain.facts("strict", "q1", "long")
    assert found["score"] is None
    assert "--long-documents windows" in found["reason"]
    assert "--long-documents windows" in found["recomputed"]["reason"]
    assert found["recomputed"]["verdict"] == "cannot be scored now either"


def test_a_document_of_nothing_visible_is_explained_like_any_other(explain: Explain) -> None:
    score = explain.facts("night", "q1", "nothing")["score"]
    assert score["span_text"] in ("", "\u200b")
    assert len(score["span_text"]) == score["span_end"] - score["span_start"]


@pytest.mark.parametrize(
    "words", [("night", "q9", "long"), ("night", "q1", "nobody"), ("none", "q1", "long")]
)
def test_unknown_ids_are_named(explain: Explain, words: tuple[str, str, str]) -> None:
    said = explain(*words, exit_code=2)
    assert any(repr(word) in said or word in said for word in words)


def test_a_score_that_does_not_come_out_again_is_told(made: Rankmill, explain: Explain) -> None:
    with open_store(made.store_url) as store, store.writing() as connection:
        connection.execute(text("UPDATE scores SET logit = logit + 1 WHERE num_windows = 1"))
    found = explain.facts("night", "q1", "short", exit_code=6)
    assert found["recomputed"]["verdict"] == "differs"


def test_a_changed_model_is_told_instead_of_compared(explain: Explain, folder: Path) -> None:
    config = folder / "model" / "config.json"
    config.write_text(config.read_text() + "\n")
    found = explain.facts("night", "q1", "short", exit_code=3)
    assert found["recomputed"]["verdict"] == "not recomputed"
    assert "files" in found["recomputed"]["problem"]

"""From Python: the same jobs in a few typed lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rankmill
from rankmill import results, run, submit, watch
from rankmill.db.errors import UnknownJob
from rankmill.db.records.jobs import JobProgress
from rankmill.producer.errors import InputError, MissingPrerequisite, UsageError
from tests.support.processes.rankmill_command import Rankmill
from tests.support.repository import ROOT

EXAMPLE = ROOT / "examples" / "rerank_from_python.py"
DOCUMENTS = {"a": "The rent is due on Monday.", "b": "Beans are soaked overnight.", "c": "Law of New York."}
QUERIES = [("q1", "When is the rent due?"), ("q2", "Which law?")]


@pytest.fixture(autouse=True)
def _somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKMILL_STORE", "sqlite:///store.db")


def test_the_example_runs_and_again_gives_the_same(tmp_path: Path) -> None:
    environment = Rankmill(tmp_path).environment
    said = [
        subprocess.run(
            [sys.executable, EXAMPLE, "null"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == 7, "three documents for each of two questions, and the best"
    assert said[0].splitlines()[-1].startswith("best: {'law': ")


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, rankmill; print({'sqlalchemy', 'celery', 'pydantic'} & sys.modules.keys())"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert said.stdout == "set()\n"
    with pytest.raises(AttributeError, match="no attribute 'rerank'"):
        _ = rankmill.rerank


def test_run_on_values_gives_ranked_rows_and_tells_progress() -> None:
    seen: list[JobProgress] = []
    candidates = [("q1", "a"), ("q1", "b"), ("q2", "c")]
    ranking = run(DOCUMENTS, QUERIES, candidates, model="null", on_progress=seen.append)
    rows = list(ranking)
    assert [(row.query_id, row.rank) for row in rows] == [("q1", 1), ("q1", 2), ("q2", 1)]
    assert list(ranking) == rows, "a ranking can be read again"
    assert seen[-1].num_scored == 3
    assert list(run(dict(DOCUMENTS), iter(QUERIES), candidates, model="null")) == rows
    assert list(results(ranking.job_id, top_k=1)) == [rows[0], rows[2]]


def test_run_finds_the_best_clauses_of_the_best_documents() -> None:
    rows = list(run(DOCUMENTS, QUERIES, model="null", spans=1))
    assert [len(row.spans) for row in rows] == [1, 0, 0] * 2
    [span] = rows[0].spans
    assert DOCUMENTS[rows[0].document_id][span.start : span.end] == DOCUMENTS[rows[0].document_id]
    assert 0 < span.score < 1
    with pytest.raises(UsageError, match="spans=0"):
        run(DOCUMENTS, QUERIES, model="null", spans=0)


def test_submit_watch_and_results_are_the_parts(redis_url: str) -> None:
    job = submit(DOCUMENTS, QUERIES, model="null", broker=redis_url, name="parts", priority="low")
    assert (job.is_new, job.num_pairs) == (True, 6)
    assert not submit(DOCUMENTS, QUERIES, model="null", broker=redis_url).is_new
    first = next(watch("parts"))
    assert (first.job_id, first.num_waiting) == (job.job_id, 6)
    assert list(results("parts")) == [], "nothing is scored yet"


def test_errors_are_names_and_sentences() -> None:
    with pytest.raises(InputError, match="<documents>, item 2: document id 'a' was already on"):
        run([("a", "one"), ("a", "two")], QUERIES, model="null")
    with pytest.raises(InputError, match=r"<candidates>, item 1: candidate names query 'q9'"):
        run(DOCUMENTS, QUERIES, [("q9", "a")], model="null")
    with pytest.raises(InputError, match=r"missing\.jsonl: there is no such file"):
        run("missing.jsonl", QUERIES, model="null")
    with pytest.raises(MissingPrerequisite, match="--broker"):
        submit(DOCUMENTS, QUERIES, model="null")
    with pytest.raises(UsageError, match="--precision"):
        run(DOCUMENTS, QUERIES, model="null", precision="fp7")
    with pytest.raises(UnknownJob):
        results("nobody")

"""`rankmill explain`: what made a score, and whether the same comes out again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from db.store import open_store
from tests.support.rankmill_command import Rankmill

DEMO = Path(__file__).parent.parent / "worker" / "models" / "demo"
NOTICE = "Either party may terminate this Agreement upon thirty days' written notice 🙂. "
LONG = "The supplier shall deliver the goods without delay. " * 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explain")


@pytest.fixture(scope="module")
def made(folder: Path) -> Rankmill:
    """A store with a job of three documents, scored by a copy of the demo model."""
    shutil.copytree(DEMO, folder / "model")
    rows = [
        {"id": "long", "title": "Supply 🤝", "text": LONG + NOTICE + LONG},
        {"id": "short", "text": "Rent is due monthly."},
        {"id": "nothing", "text": "\u200b"},
    ]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "queries.tsv").write_text("q1\tCan a party terminate this contract without cause?\n")
    rankmill = Rankmill(folder)
    inputs = ["--corpus", "corpus.jsonl", "--queries", "queries.tsv", "--all-pairs", "--model", "model"]
    said = rankmill("run", *inputs, "--max-length", "128", "--name", "night", "--output", "out.jsonl").stderr
    assert "1 of 3 pairs needed windows; nothing was cut" in said
    rankmill(
        "run", *inputs, "--max-length", "128", "--long-documents", "error", "--name", "strict", exit_code=7
    )
    return rankmill


def explained(rankmill: Rankmill, *words: str, exit_code: int = 0) -> dict[str, Any]:
    found = json.loads(rankmill("explain", *words, "--json", exit_code=exit_code).stdout)
    assert isinstance(found, dict)
    return found


def test_a_score_is_explained_and_comes_out_the_same_again(made: Rankmill, folder: Path) -> None:
    found = explained(made, "night", "q1", "long")
    lines = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    [stored] = [line for line in lines if line["document_id"] == "long"]
    score = found["score"]
    assert (score["logit"], score["num_windows"]) == (stored["logit"], stored["num_windows"])
    assert {"start": score["span_start"], "end": score["span_end"]} == stored["span"]
    own = (LONG + NOTICE + LONG)[score["span_start"] : score["span_end"]]
    assert score["span_text"].endswith(own)
    assert found["scorer"]["window_ends"] == "boundaries"
    assert len(score["engine"]["weights_digest"]) == len(score["engine"]["tokenizer_digest"]) == 64
    assert found["recomputed"]["verdict"].startswith(("the same", "agrees"))
    said = made("explain", "night", "q1", "long").stdout
    assert "nothing was cut" in said
    assert "terminate this Agreement" in said


def test_a_failed_pair_is_explained_by_its_reason_and_fails_again(made: Rankmill) -> None:
    found = explained(made, "strict", "q1", "long")
    assert found["score"] is None
    assert "--long-documents windows" in found["reason"]
    assert found["recomputed"]["verdict"] == "cannot be scored now either"


def test_a_document_of_nothing_visible_is_explained_like_any_other(made: Rankmill) -> None:
    score = explained(made, "night", "q1", "nothing")["score"]
    assert score["span_text"] in ("", "\u200b")
    assert len(score["span_text"]) == score["span_end"] - score["span_start"]


@pytest.mark.parametrize(
    "words", [("night", "q9", "long"), ("night", "q1", "nobody"), ("none", "q1", "long")]
)
def test_unknown_ids_are_named(made: Rankmill, words: tuple[str, str, str]) -> None:
    said = made("explain", *words, exit_code=2).stderr
    assert any(repr(word) in said or word in said for word in words)


def test_a_score_that_does_not_come_out_again_is_told(made: Rankmill) -> None:
    with open_store(made.store_url) as store, store.writing() as connection:
        connection.execute(text("UPDATE scores SET logit = logit + 1 WHERE num_windows = 1"))
    found = explained(made, "night", "q1", "short", exit_code=6)
    assert found["recomputed"]["verdict"] == "differs"


def test_a_changed_model_is_told_instead_of_compared(made: Rankmill, folder: Path) -> None:
    config = folder / "model" / "config.json"
    config.write_text(config.read_text() + "\n")
    found = explained(made, "night", "q1", "short", exit_code=3)
    assert found["recomputed"]["verdict"] == "not recomputed"
    assert "files" in found["recomputed"]["problem"]

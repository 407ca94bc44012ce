"""The engine against the usual code on real corpora, where a checkout has them beside it."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from rankmill.db.records.scorers import LongDocuments
from tests.support.inputs.pair_texts import score_pairs
from tests.support.repository import ROOT
from tests.worker.conftest import LoadScorer, ModelDirectory
from tests.worker.parity.plain import plain_logits

CORPORA = ROOT.parent / "shared" / "data"
FAMILIES = ["xlm-roberta", "bert", "modernbert"]
MAX_LENGTH = 512


def read(path: Path) -> dict[str, str]:
    open_file = gzip.open if path.suffix == ".gz" else open
    with open_file(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["_id"]: " ".join(filter(None, [row.get("title"), row["text"]])) for row in rows}


def corpus(name: str) -> Path:
    folder = CORPORA / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not beside this checkout (looked for {folder})")
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_equal_a_plain_run_on_keyword_traps_in_all_five_languages(
    load: LoadScorer, model_directory: ModelDirectory, family: str
) -> None:
    folder = corpus("keyword-trap")
    queries, documents = read(folder / "queries.jsonl"), read(folder / "corpus.jsonl")
    candidates = [line.split() for line in (folder / "runs" / "bm25.top20.trec").read_text().splitlines()]
    pairs = [(queries[row[0]], documents[row[2]]) for row in candidates]
    assert len({row[0] for row in candidates}) == len(queries) == 35
    found = [score.logit for score in score_pairs(load(family), pairs)]
    np.testing.assert_allclose(found, plain_logits(model_directory(family), pairs), rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_equal_a_plain_run_on_two_hundred_contract_pairs(
    load: LoadScorer, model_directory: ModelDirectory, family: str
) -> None:
    folder = corpus("cuad")
    queries, documents = read(folder / "queries.jsonl"), read(folder / "corpus.jsonl.gz")
    contracts = sorted(documents.values(), key=len)[::25][:10]
    pairs = [(query, contract) for contract in contracts for query in list(queries.values())[:20]]
    assert len(pairs) == 200
    scorer = load(family, long_documents=LongDocuments.TRUNCATE, max_length=MAX_LENGTH)
    found = score_pairs(scorer, pairs)
    assert sum(score.truncated for score in found) > 100
    expected = plain_logits(model_directory(family), pairs, max_length=MAX_LENGTH)
    np.testing.assert_allclose([score.logit for score in found], expected, rtol=0, atol=1e-4)

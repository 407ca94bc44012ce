"""The layouts in which people have rerankers load, with the scores of the library that wrote them."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.producer.submission.model_folder import check_model_folder
from rankmill.worker.loading.load import load_scorer
from tests.support.inputs import layouts
from tests.support.inputs.layouts import LAYOUTS, ROUNDED, Change, change_json
from tests.support.inputs.pair_texts import all_pairs, score_pairs
from tests.support.inputs.texts import DOCUMENTS, QUERIES, STRANGE
from tests.worker.conftest import ModelDirectory
from tests.worker.parity.plain import plain_logits

PAIRS = all_pairs(QUERIES[::4], [*DOCUMENTS[::3], *STRANGE[::4]])
TOLERANCE = 1e-4


def logits(directory: Path, **settings: Any) -> list[float]:
    spec = ScorerSpec(model=str(directory), precision=Precision.FP32, **settings)
    return [score.logit for score in score_pairs(load_scorer(spec, device="cpu"), PAIRS)]


@pytest.mark.parametrize(
    ("family", "change"), LAYOUTS, ids=lambda part: part if isinstance(part, str) else part.__name__
)
def test_a_layout_loads_with_its_library_s_scores(
    model_directory: ModelDirectory, tmp_path: Path, family: str, change: Change
) -> None:
    source = model_directory(family)
    directory = Path(shutil.copytree(source, tmp_path / "model"))
    change(directory)
    check_model_folder("model", directory)
    expected = plain_logits(directory if change in ROUNDED else source, PAIRS)
    assert np.std(expected) > 0.3, "the model must tell pairs apart for this to mean anything"
    np.testing.assert_allclose(logits(directory), expected, rtol=0, atol=TOLERANCE)


def test_padding_that_was_saved_with_a_tokenizer_changes_nothing(
    model_directory: ModelDirectory, tmp_path: Path
) -> None:
    directory = Path(shutil.copytree(model_directory("bert"), tmp_path / "model"))
    layouts.with_fixed_padding(directory)
    np.testing.assert_allclose(logits(directory), logits(model_directory("bert")), rtol=0, atol=1e-5)


def test_a_default_prompt_stands_before_every_query(model_directory: ModelDirectory, tmp_path: Path) -> None:
    source = model_directory("bert")
    directory = Path(shutil.copytree(source, tmp_path / "model"))
    layouts.by_sentence_transformers_6(directory)
    prompts = {"query": "search the contract: ", "other": "x"}
    change_json(directory / "config_sentence_transformers.json", prompts=prompts, default_prompt_name="query")
    prompted = [(prompts["query"] + query, document) for query, document in PAIRS]
    expected = plain_logits(source, prompted)
    assert np.abs(np.subtract(expected, plain_logits(source, PAIRS))).max() > 0.1
    np.testing.assert_allclose(logits(directory), expected, rtol=0, atol=TOLERANCE)


def test_lengths_and_lower_case_that_sentence_transformers_set_hold(
    model_directory: ModelDirectory, tmp_path: Path
) -> None:
    source = model_directory("roberta")
    directory = Path(shutil.copytree(source, tmp_path / "model"))
    layouts.by_sentence_transformers_6(directory)
    change_json(directory / "sentence_bert_config.json", max_seq_length=400, do_lower_case=True)
    spec = ScorerSpec(model=str(directory), precision=Precision.FP32)
    scorer: Any = load_scorer(spec, device="cpu")
    assert scorer.limits.max_length == 400
    found = [score.logit for score in score_pairs(scorer, PAIRS)]
    expected = plain_logits(source, [(query.lower(), document.lower()) for query, document in PAIRS])
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)

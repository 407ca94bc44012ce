"""The engine's logits against the usual code: stock tokenizer, padding, stock model, fp32."""

import numpy as np
import pytest

from rankmill.db.records.scorers import LongDocuments
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from tests.support.inputs.models import families
from tests.support.inputs.pair_texts import all_pairs, pair_texts, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE
from tests.worker.conftest import LoadScorer, ModelDirectory
from tests.worker.parity.plain import plain_logits

PAIRS = [
    *all_pairs(QUERIES, DOCUMENTS),
    *all_pairs(QUERIES[::4], STRANGE),
    *all_pairs(STRANGE[::3], DOCUMENTS[::6]),
    ("", "an empty query"),
]
TOLERANCE = 1e-4


@pytest.mark.parametrize("family", families())
def test_logits_equal_a_plain_padded_run_in_five_languages_and_strange_texts(
    load: LoadScorer, model_directory: ModelDirectory, family: str
) -> None:
    found = [score.logit for score in score_pairs(load(family), PAIRS)]
    expected = plain_logits(model_directory(family), PAIRS)
    assert np.std(expected) > 0.3, "the model must tell pairs apart for this to mean anything"
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("family", families())
def test_logits_of_a_cut_long_document_equal_the_stock_tokenizers_truncation(
    load: LoadScorer, model_directory: ModelDirectory, family: str
) -> None:
    pairs = all_pairs(QUERIES[:3], [LONG, LONG[100:], DOCUMENTS[0]])
    scorer = load(family, long_documents=LongDocuments.TRUNCATE, max_length=128)
    scores = score_pairs(scorer, pairs)
    expected = plain_logits(model_directory(family), pairs, max_length=128)
    np.testing.assert_allclose([score.logit for score in scores], expected, rtol=0, atol=TOLERANCE)
    assert [score.truncated for score in scores] == [document is not DOCUMENTS[0] for _, document in pairs]
    assert all(score.num_tokens == 128 for score in scores if score.truncated)


@pytest.mark.parametrize("family", ["xlm-roberta", "modernbert", "deberta"])
@pytest.mark.parametrize("batch_tokens", [64, 300, 100_000])
def test_logits_do_not_depend_on_the_budget(
    load: LoadScorer, model_directory: ModelDirectory, family: str, batch_tokens: int
) -> None:
    pairs = PAIRS[::5]
    found = [score.logit for score in score_pairs(load(family, batch_tokens=batch_tokens), pairs)]
    np.testing.assert_allclose(found, plain_logits(model_directory(family), pairs), rtol=0, atol=TOLERANCE)


def test_several_requests_prepared_together_give_each_its_own_scores(
    load: LoadScorer, model_directory: ModelDirectory
) -> None:
    scorer = load("bert")
    parts = [PAIRS[0:7], PAIRS[7:8], PAIRS[8:40]]
    requests = [pair_texts(part) for part in parts]
    results = scorer.score(scorer.prepare(requests), lambda: False)
    assert len(results) == 3
    expected = plain_logits(model_directory("bert"), PAIRS[:40])
    found = [score.logit for result in results for score in result.scores]
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    for asked, result in zip(requests, results, strict=True):
        assert list(asked.pairs) == [(score.query_text_id, score.document_text_id) for score in result.scores]
        assert result.num_tokens == sum(score.num_tokens for score in result.scores)


def test_nothing_to_score_is_no_trouble(load: LoadScorer) -> None:
    scorer = load("bert")
    assert scorer.score(scorer.prepare([]), lambda: False) == []
    (result,) = scorer.score(scorer.prepare([pair_texts([])]), lambda: False)
    assert (list(result.scores), list(result.failures), result.num_tokens) == ([], [], 0)


@pytest.mark.parametrize("family", families())
def test_only_families_that_cannot_go_without_padding_are_padded(load: LoadScorer, family: str) -> None:
    expected = PaddedEncoder if family == "deberta" else PackedEncoder
    assert type(load(family).forward.encoder) is expected

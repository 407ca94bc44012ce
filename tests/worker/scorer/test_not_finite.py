"""Logits that are not numbers are scored again in fp32, and never given back."""

import math
from collections.abc import Iterator

import pytest
import torch

from rankmill.db.records.scorers import Precision
from rankmill.worker.batching.layout import Batch
from rankmill.worker.model.encoders import Encoder
from rankmill.worker.scorer.model_scorer import ModelScorer
from rankmill.worker.scorer.protocol import score_once
from tests.support.inputs.pair_texts import all_pairs, pair_texts
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES
from tests.worker.conftest import LoadScorer, ModelDirectory
from tests.worker.parity.plain import plain_logits

PAIRS = all_pairs(QUERIES[:4], DOCUMENTS[:5])


class Overflowing:
    """The scorer's own encoder, but for some sequences it gives infinity, as FP16 does when it overflows."""

    is_padded = False

    def __init__(self, encoder: Encoder, indexes: set[int], value: float) -> None:
        self.encoder, self.indexes, self.value = encoder, indexes, value

    def logits(self, batch: Batch) -> torch.Tensor:
        logits = self.encoder.logits(batch).clone()
        for place, index in enumerate(batch.indexes):
            if index in self.indexes:
                logits[place] = self.value
        return logits

    def num_computed_tokens(self, batch: Batch) -> int:
        return self.encoder.num_computed_tokens(batch)


@pytest.fixture
def bf16(load: LoadScorer) -> Iterator[ModelScorer]:
    scorer = load("bert", precision=Precision.BF16)
    encoder = scorer.forward.encoder
    yield scorer
    scorer.forward.encoder = encoder


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_pair_without_a_finite_logit_is_scored_again_in_fp32(
    bf16: ModelScorer, model_directory: ModelDirectory, value: float
) -> None:
    bf16.forward.encoder = Overflowing(bf16.forward.encoder, {3, 11}, value)
    result = score_once(bf16, pair_texts(PAIRS))
    expected = plain_logits(model_directory("bert"), PAIRS)
    found = [score.logit for score in result.scores]
    assert list(result.failures) == []
    # The weights are bf16 all the same, so that what is computed exactly is the rounded model.
    assert found == pytest.approx(expected, abs=0.3)
    assert all(map(math.isfinite, found))


def test_a_pair_that_is_not_finite_even_in_fp32_fails_with_a_reason(load: LoadScorer) -> None:
    scorer = load("bert")
    encoder = scorer.forward.encoder
    scorer.forward.encoder = Overflowing(encoder, {3}, math.nan)
    try:
        request = pair_texts(PAIRS)
        result = score_once(scorer, request)
    finally:
        scorer.forward.encoder = encoder
    (failure,) = result.failures
    assert (failure.query_text_id, failure.document_text_id) == request.pairs[3]
    assert "no finite number" in failure.reason
    assert len(result.scores) == len(PAIRS) - 1


def test_one_window_without_a_number_fails_its_document(load: LoadScorer) -> None:
    scorer = load("bert", window=40)
    encoder = scorer.forward.encoder
    scorer.forward.encoder = Overflowing(encoder, {2}, math.nan)
    try:
        result = score_once(scorer, pair_texts([(QUERIES[0], LONG), (QUERIES[1], LONG)]))
    finally:
        scorer.forward.encoder = encoder
    assert (len(result.failures), len(result.scores)) == (1, 1)


@pytest.mark.filterwarnings("ignore")
def test_weights_that_overflow_are_found_out_on_the_real_path(
    load: LoadScorer, model_directory: ModelDirectory
) -> None:
    """A position whose embedding is not a number: sequences that reach it fail, shorter ones do not."""
    scorer = load("bert", max_length=500)
    base = getattr(scorer.forward.encoder, "_base")  # noqa: B009
    table = base.embeddings.position_embeddings.weight
    kept = table[60].clone()
    try:
        table[60] = math.nan
        result = score_once(scorer, pair_texts([(QUERIES[0], DOCUMENTS[0]), (QUERIES[0], LONG)]))
    finally:
        table[60] = kept
    assert (len(result.scores), len(result.failures)) == (1, 1)
    expected = plain_logits(model_directory("bert"), [(QUERIES[0], DOCUMENTS[0])])
    assert [score.logit for score in result.scores] == pytest.approx(expected, abs=1e-4)

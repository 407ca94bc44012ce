"""What the engine counts of its own work: real tokens, computed tokens, what batches cost."""

import pytest

from rankmill.worker.model.encoders import PackedEncoder
from rankmill.worker.model.layers.batch_invariance import CPU_SAFE_ROWS
from tests.support.inputs.pair_texts import all_pairs, pair_texts, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES
from tests.worker.conftest import LoadScorer

PAIRS = all_pairs(QUERIES[:4], [*DOCUMENTS, LONG])


def test_real_tokens_are_those_of_the_scores_and_counts_are_taken_once(load: LoadScorer) -> None:
    scorer = load("bert")
    scorer.take_counts()
    num_tokens = sum(score.num_tokens for score in score_pairs(scorer, PAIRS))
    counts = scorer.take_counts()
    assert counts.num_tokens == num_tokens
    assert counts.num_batches > 1
    assert counts.cost <= counts.budget
    assert scorer.take_counts().num_batches == 0


def test_without_padding_only_idle_rows_of_a_small_batch_are_computed_in_vain(load: LoadScorer) -> None:
    scorer = load("bert")
    encoder = scorer.forward.encoder
    assert isinstance(encoder, PackedEncoder)
    least = encoder.min_rows
    assert 64 <= least <= CPU_SAFE_ROWS
    scorer.take_counts()
    (alone,) = score_pairs(scorer, PAIRS[:1])
    assert alone.num_tokens <= 64
    assert scorer.take_counts().num_computed_tokens == least
    prepared = scorer.prepare([pair_texts(PAIRS)])
    scorer.score(prepared, lambda: False)
    computed = sum(max(-(-batch.num_tokens // 64) * 64, least) for batch in prepared.batches)
    assert scorer.take_counts().num_computed_tokens == computed


def test_padded_models_compute_every_row_to_the_length_of_the_longest(load: LoadScorer) -> None:
    scorer = load("deberta")
    scorer.take_counts()
    prepared = [(QUERIES[0], DOCUMENTS[0]), (QUERIES[0], LONG[:300])]
    lengths = [score.num_tokens for score in score_pairs(scorer, prepared)]
    counts = scorer.take_counts()
    assert counts.num_batches == 1
    assert counts.num_computed_tokens == 2 * max(lengths)
    assert counts.fill == pytest.approx(sum(lengths) / (2 * max(lengths)))

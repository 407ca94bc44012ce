"""A device that runs out of memory above so many tokens: an event, not an end."""

import logging
from collections.abc import Iterator

import pytest
import torch

from rankmill.worker.batching.layout import Batch
from rankmill.worker.model.encoders import Encoder
from rankmill.worker.model.forward import Budget
from rankmill.worker.scorer.model_scorer import ModelScorer
from rankmill.worker.scorer.protocol import score_once
from tests.support.inputs.pair_texts import all_pairs, pair_texts
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES
from tests.worker.conftest import LoadScorer, ModelDirectory
from tests.worker.parity.plain import plain_logits


class SmallMemory:
    """The scorer's own encoder on a device that holds at most so many tokens at a time."""

    is_padded = False

    def __init__(self, encoder: Encoder, max_tokens: int) -> None:
        self.encoder, self.max_tokens = encoder, max_tokens
        self.seen: list[int] = []

    def logits(self, batch: Batch) -> torch.Tensor:
        self.seen.append(batch.num_tokens)
        if batch.num_tokens > self.max_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.encoder.logits(batch)

    def num_computed_tokens(self, batch: Batch) -> int:
        return self.encoder.num_computed_tokens(batch)


@pytest.fixture
def scorer(load: LoadScorer) -> Iterator[ModelScorer]:
    scorer = load("bert", batch_tokens=2000)
    forward = scorer.forward
    encoder, budget = forward.encoder, forward.budget
    forward.budget = Budget(2000)
    yield scorer
    forward.encoder, forward.budget = encoder, budget


def small(scorer: ModelScorer, max_tokens: int) -> SmallMemory:
    memory = SmallMemory(scorer.forward.encoder, max_tokens)
    scorer.forward.encoder = memory
    return memory


PAIRS = all_pairs(QUERIES[:6], DOCUMENTS)


def test_batches_are_split_until_they_fit_and_every_pair_is_scored(
    scorer: ModelScorer, model_directory: ModelDirectory
) -> None:
    memory = small(scorer, 150)
    result = score_once(scorer, pair_texts(PAIRS))
    assert max(memory.seen) > 1000
    assert list(result.failures) == []
    expected = plain_logits(model_directory("bert"), PAIRS)
    assert [score.logit for score in result.scores] == pytest.approx(expected, abs=1e-4)


def test_the_budget_falls_so_that_memory_does_not_run_out_batch_after_batch(scorer: ModelScorer) -> None:
    memory = small(scorer, 400)
    score_once(scorer, pair_texts(PAIRS * 1))
    assert scorer.forward.budget.tokens < 1000
    memory.seen.clear()
    score_once(scorer, pair_texts(PAIRS))
    failed = [tokens for tokens in memory.seen if tokens > 400]
    assert len(failed) <= 2, memory.seen


def test_the_budget_comes_back_slowly_and_not_above_what_it_was() -> None:
    budget = Budget(1000)
    budget.lower(900)
    assert budget.tokens == 450
    budget.recover()
    assert 450 < budget.tokens < 500
    for _ in range(1000):
        budget.recover()
    assert budget.tokens == 1000


def test_a_pair_that_does_not_fit_alone_fails_and_its_siblings_go_on(
    scorer: ModelScorer, model_directory: ModelDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="rankmill.worker")
    small(scorer, 200)
    pairs = [*PAIRS[:20], (QUERIES[0], LONG), *PAIRS[20:40]]
    result = score_once(scorer, pair_texts(pairs))
    (failure,) = result.failures
    assert "out of memory" in failure.reason
    assert "--max-length" in failure.reason
    expected = plain_logits(model_directory("bert"), PAIRS[:40])
    assert [score.logit for score in result.scores] == pytest.approx(expected, abs=1e-4)
    assert "out_of_memory" in caplog.messages


def test_a_batch_that_onednn_refuses_is_split_and_a_pair_that_it_refuses_alone_is_not_called_too_large(
    scorer: ModelScorer,
) -> None:
    class Refusing(SmallMemory):
        def logits(self, batch: Batch) -> torch.Tensor:
            if batch.num_tokens > self.max_tokens:
                raise RuntimeError("could not create a primitive")
            return self.encoder.logits(batch)

    scorer.forward.encoder = Refusing(scorer.forward.encoder, 150)
    assert len(score_once(scorer, pair_texts(PAIRS)).scores) == len(PAIRS)
    with pytest.raises(RuntimeError, match="could not create a primitive"):
        score_once(scorer, pair_texts([(QUERIES[0], LONG)]))


def test_any_other_error_is_not_taken_for_lack_of_memory(scorer: ModelScorer) -> None:
    class Broken:
        is_padded = False

        def logits(self, batch: Batch) -> torch.Tensor:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        def num_computed_tokens(self, batch: Batch) -> int:
            return batch.num_tokens

    scorer.forward.encoder = Broken()
    with pytest.raises(RuntimeError, match="illegal memory access"):
        score_once(scorer, pair_texts(PAIRS))

"""A contract of 64,000 tokens and questions about it: tokenised once, in memory that does not grow."""

from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from rankmill.db.records.pairs import PairTexts
from rankmill.db.records.scorers import Precision, ScorerSpec, WindowEnds
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.scorer.model_scorer import ModelScorer
from rankmill.worker.scorer.protocol import score_once
from rankmill.worker.tokenize.tokenizer import CacheKey, TokenizedText
from tests.support.inputs.pair_texts import pair_texts
from tests.support.inputs.texts import DOCUMENTS
from tests.worker.conftest import ModelDirectory

NUM_TOKENS = 64_000
# All 41 questions of the benchmark take a minute of a core; what grows with each would show in these.
NUM_QUESTIONS = 7
MAX_GROWTH_BYTES = 48 * 2**20


@pytest.fixture
def scorer(model_directory: ModelDirectory) -> ModelScorer:
    """A scorer of its own: nothing is kept from other tests."""
    directory: Path = model_directory("bert")
    ends = WindowEnds.BOUNDARIES
    spec = ScorerSpec(model=str(directory), precision=Precision.FP32, window_ends=ends)
    return assemble(spec, None, "cpu")


def contract(scorer: ModelScorer) -> str:
    """English sentences, as many as make 64,000 tokens."""
    sentences = [document for document in DOCUMENTS if document.isascii()]
    one_round = len(scorer.tokenizer.encode({0: " ".join(sentences)})[0])
    return " ".join(sentences * (NUM_TOKENS // one_round + 1))


def requests(text: str) -> list[PairTexts]:
    """One for each question, as a job of such a contract is sliced."""
    return [pair_texts([(f"What does clause {number} say?", text)]) for number in range(NUM_QUESTIONS)]


def test_a_contract_of_64_000_tokens_is_tokenised_once_and_memory_stays_flat(
    scorer: ModelScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = contract(scorer)
    encoded: list[int] = []
    encode = scorer.tokenizer._encode_whole

    def counting(texts: Mapping[CacheKey, str]) -> dict[CacheKey, TokenizedText]:
        encoded.extend(map(len, texts.values()))
        return encode(texts)

    monkeypatch.setattr(scorer.tokenizer, "_encode_whole", counting)
    memory: list[int] = []
    for request in requests(text):
        (score,) = score_once(scorer, request).scores
        assert score.num_windows > 100
        assert not score.truncated
        memory.append(psutil.Process().memory_info().rss)
    assert encoded.count(len(text)) == 1
    assert len(scorer.tokenizer.encode({0: text})[0]) >= NUM_TOKENS
    assert max(memory[3:]) - memory[2] < MAX_GROWTH_BYTES

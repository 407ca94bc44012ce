"""The engine against sentence-transformers' CrossEncoder and FlagEmbedding's FlagReranker, same weights.

Their logits of the demonstration model are kept beside the tests; where they are installed they are asked
anew, for models of more families too.
"""

import importlib.util
import json
import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest

from rankmill.db.corpus.texts import text_identity
from rankmill.db.errors import UnstorableText
from rankmill.db.records.scorers import LongDocuments, Precision, ScorerSpec
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.scorer.model_scorer import ModelScorer
from tests.support.inputs.pair_texts import score_pairs
from tests.support.inputs.parity_pairs import ACCENTS, MAX_LENGTH, PARITY_PAIRS
from tests.worker.conftest import LoadScorer, ModelDirectory
from tests.worker.parity.references.make import HERE, REFERENCES

TOLERANCE = 1e-4
CUT = {"long_documents": LongDocuments.TRUNCATE, "max_length": MAX_LENGTH}


@pytest.fixture(scope="module")
def demo_logits() -> list[float]:
    spec = ScorerSpec(
        model="demo",
        precision=Precision.FP32,
        long_documents=LongDocuments.TRUNCATE,
        max_length=MAX_LENGTH,
    )
    return logits(assemble(spec, None, "cpu"))


def logits(scorer: ModelScorer) -> list[float]:
    return [score.logit for score in score_pairs(scorer, PARITY_PAIRS)]


def assert_equal(found: Sequence[float], expected: Sequence[float], reference: str) -> None:
    """FlagEmbedding 1.4 makes text of the token ids again, as transformers 5 has lost what it used before,
    and then takes an empty document for none at all, with another template. Those are left out.
    """
    is_read = [reference != "FlagEmbedding" or bool(document.strip()) for _, document in PARITY_PAIRS]
    assert sum(is_read) > 130
    for values in (found, expected):
        assert len(values) == len(PARITY_PAIRS)
    np.testing.assert_allclose(np.array(found)[is_read], np.array(expected)[is_read], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("reference", REFERENCES)
def test_logits_equal_those_that_the_reference_gave(demo_logits: list[float], reference: str) -> None:
    recorded = json.loads((HERE / f"{reference}.json").read_text(encoding="utf-8"))["logits"]
    assert np.std(recorded) > 0.3, "the model must tell pairs apart for this to mean anything"
    assert_equal(demo_logits, recorded, reference)


@pytest.mark.parametrize(
    ("reference", "family"),
    [
        *(("sentence-transformers", family) for family in ("xlm-roberta", "bert", "roberta", "deberta")),
        # The small XLM-RoBERTa's pieces do not survive being made text again; the demonstration model's do.
        *(("FlagEmbedding", family) for family in ("bert", "roberta", "deberta")),
    ],
)
def test_logits_equal_those_that_the_reference_gives(
    load: LoadScorer, model_directory: ModelDirectory, reference: str, family: str
) -> None:
    package = reference.replace("-", "_")
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{reference} is not installed here: pip install {reference}")
    expected = REFERENCES[reference](model_directory(family), PARITY_PAIRS)
    assert_equal(logits(load(family, **CUT)), expected, reference)


def test_composed_and_decomposed_letters_are_kept_as_given(load: LoadScorer) -> None:
    texts = {0: unicodedata.normalize("NFC", ACCENTS), 1: unicodedata.normalize("NFD", ACCENTS)}
    found = load("modernbert").tokenizer.encode(texts)
    assert [int(found[no].ends[-1]) for no in texts] == [len(text) for text in texts.values()]
    assert found[0].ids.tolist() != found[1].ids.tolist()


def test_lone_surrogates_are_refused_before_any_model_sees_them() -> None:
    with pytest.raises(UnstorableText, match="lone surrogate"):
        text_identity("half \ud83d of a smile", "the text of document 'd'")

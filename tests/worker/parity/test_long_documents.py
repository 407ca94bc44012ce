"""Windows, cuts and refusals end to end: what was read, where it lies, what the best of it gave."""

import numpy as np
import pytest

from rankmill.db.records.scorers import LongDocuments
from rankmill.worker.scorer.protocol import score_once
from tests.support.inputs.pair_texts import all_pairs, pair_texts, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE
from tests.worker.conftest import LoadScorer, ModelDirectory
from tests.worker.parity.plain import plain_logit_of_ids, stock

WINDOWED = ["xlm-roberta", "bert", "modernbert", "deberta"]


@pytest.mark.parametrize("family", WINDOWED)
def test_a_long_documents_logit_is_its_best_windows_and_the_span_says_which(
    load: LoadScorer, model_directory: ModelDirectory, family: str
) -> None:
    scorer = load(family, window=60, stride=40)
    tokenizer, model = stock(model_directory(family))
    for query in (QUERIES[0], QUERIES[3]):
        (score,) = score_pairs(scorer, [(query, LONG)])
        encoded = tokenizer(LONG, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
        query_ids = tokenizer(query, add_special_tokens=False)["input_ids"]
        starts = [*range(0, len(ids) - 60, 40), len(ids) - 60]
        logits = []
        for start in starts:
            sequence = _joined(scorer.layout.template, query_ids, ids[start : start + 60])
            logits.append(plain_logit_of_ids(model, *sequence))
        best = int(np.argmax(logits))
        assert score.num_windows == len(starts)
        assert score.logit == pytest.approx(max(logits), abs=1e-4)
        start = starts[best]
        assert (score.span_start, score.span_end) == (offsets[start][0], offsets[start + 59][1])
        assert score.num_tokens == len(starts) * (
            60 + len(query_ids) + scorer.layout.template.num_special_tokens
        )
        assert not score.truncated


def _joined(template: object, query: list[int], document: list[int]) -> tuple[list[int], list[int] | None]:
    from rankmill.worker.tokenize.tokenizer import PairTemplate

    assert isinstance(template, PairTemplate)
    prefix, middle, suffix = (part.tolist() for part in (template.prefix, template.middle, template.suffix))
    parts = [prefix, query, middle, document, suffix]
    types = [kind for kind, part in zip(template.types, parts, strict=True) for _ in part]
    return [token for part in parts for token in part], types if any(types) else None


@pytest.mark.parametrize("family", WINDOWED)
def test_a_short_documents_span_is_all_of_it(load: LoadScorer, family: str) -> None:
    documents = [DOCUMENTS[0], DOCUMENTS[4], STRANGE[3], STRANGE[4], STRANGE[13]]
    scores = score_pairs(load(family), all_pairs(QUERIES[:1], documents))
    assert [(score.span_start, score.span_end) for score in scores] == [
        (0, len(document)) for document in documents
    ]
    assert all(score.num_windows == 1 and not score.truncated for score in scores)


def test_a_document_of_spaces_has_an_empty_span_and_a_score(load: LoadScorer) -> None:
    (score,) = score_pairs(load("bert"), [(QUERIES[0], "   ")])
    assert (score.span_start, score.span_end) == (0, 0)
    assert np.isfinite(score.logit)


def test_a_cut_documents_span_ends_where_it_was_cut(
    load: LoadScorer, model_directory: ModelDirectory
) -> None:
    scorer = load("xlm-roberta", long_documents=LongDocuments.TRUNCATE, max_length=64)
    (score,) = score_pairs(scorer, [(QUERIES[0], LONG)])
    tokenizer, _ = stock(model_directory("xlm-roberta"))
    encoded = tokenizer(
        QUERIES[0], LONG, truncation="only_second", max_length=64, return_offsets_mapping=True
    )
    assert score.truncated
    assert score.span_end == max(end for _, end in encoded["offset_mapping"])
    assert score.span_end < len(LONG)


def test_the_error_policy_fails_long_documents_alone(load: LoadScorer) -> None:
    scorer = load("bert", long_documents=LongDocuments.ERROR, max_length=96)
    request = pair_texts([(QUERIES[0], DOCUMENTS[0]), (QUERIES[0], LONG), (QUERIES[0], DOCUMENTS[1])])
    result = score_once(scorer, request)
    assert [score.document_text_id for score in result.scores] == [
        request.pairs[0].document_text_id,
        request.pairs[2].document_text_id,
    ]
    (failure,) = result.failures
    assert (failure.query_text_id, failure.document_text_id) == request.pairs[1]
    assert "--long-documents windows" in failure.reason


def test_a_long_query_is_cut_flagged_and_leaves_the_document_its_room(
    load: LoadScorer, model_directory: ModelDirectory
) -> None:
    scorer = load("bert", max_length=64)
    (score,) = score_pairs(scorer, [(LONG, DOCUMENTS[0])])
    assert score.query_truncated
    tokenizer, model = stock(model_directory("bert"))
    query_ids = tokenizer(LONG, add_special_tokens=False)["input_ids"][:48]
    document_ids = tokenizer(DOCUMENTS[0], add_special_tokens=False)["input_ids"]
    windows = [
        document_ids[start : start + 13]
        for start in [*range(0, len(document_ids) - 13, 9), len(document_ids) - 13]
    ]
    logits = [
        plain_logit_of_ids(model, *_joined(scorer.layout.template, query_ids, window)) for window in windows
    ]
    assert score.num_windows == len(windows)
    assert score.logit == pytest.approx(max(logits), abs=1e-4)


def test_a_document_of_many_windows_is_tokenised_once_for_all_queries(load: LoadScorer) -> None:
    scorer = load("xlm-roberta", window=64)
    request = pair_texts(all_pairs(QUERIES, [LONG * 3]))
    prepared = scorer.prepare([request])
    assert len({id(sequence.document.ids) for sequence in prepared.sequences}) == 1
    assert len(prepared.sequences) > 10 * len(QUERIES)

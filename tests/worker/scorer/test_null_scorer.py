import json
import subprocess
import sys

import numpy as np
import pytest

from rankmill.db.records.scorers import ScorerSpec
from rankmill.worker.errors import Stopped
from rankmill.worker.loading.load import load_scorer
from rankmill.worker.scorer.null_scorer import NullScorer
from tests.support.inputs.pair_texts import all_pairs, pair_texts, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE

PAIRS = all_pairs(QUERIES, [*DOCUMENTS, *STRANGE, LONG])


def test_nothing_of_it_imports_torch_transformers_or_numpy() -> None:
    code = (
        "import json, sys\n"
        "from rankmill.db.records.scorers import ScorerSpec\n"
        "from rankmill.worker import errors\n"
        "from rankmill.worker.loading.load import load_scorer\n"
        "from rankmill.worker.scorer import null_scorer, protocol\n"
        "load_scorer(ScorerSpec(model='null'))\n"
        "print(json.dumps(sorted({'torch', 'transformers', 'tokenizers', 'numpy'} & set(sys.modules))))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []


def test_a_logit_depends_on_the_two_texts_alone() -> None:
    first = score_pairs(load_scorer(ScorerSpec(model="null")), PAIRS)
    second = score_pairs(NullScorer(), list(reversed(PAIRS)))
    assert [score.logit for score in first] == [score.logit for score in reversed(second)]
    (alone,) = score_pairs(NullScorer(), PAIRS[7:8])
    assert alone.logit == first[7].logit


def test_logits_never_change_from_version_to_version() -> None:
    (score,) = score_pairs(NullScorer(), [("query", "document")])
    assert score.logit == 1.4789047241210938


def test_logits_are_spread_over_their_range_and_survive_float32() -> None:
    logits = [score.logit for score in score_pairs(NullScorer(), PAIRS)]
    assert len(set(logits)) > 0.99 * len(PAIRS)
    assert all(-8 <= logit < 8 for logit in logits)
    assert min(logits) < -6
    assert max(logits) > 6
    assert logits == [float(np.float32(logit)) for logit in logits]


def test_the_span_is_the_whole_document_in_code_points() -> None:
    for (_, document), score in zip(PAIRS, score_pairs(NullScorer(), PAIRS), strict=True):
        assert (score.span_start, score.span_end) == (0, len(document))


def test_it_stops_when_asked_and_says_which_requests_are_scored() -> None:
    scorer = NullScorer()
    prepared = scorer.prepare([pair_texts(PAIRS[:3]), pair_texts(PAIRS[3:5]), pair_texts(PAIRS[5:])])
    calm = scorer.score(prepared, lambda: False)
    for num_whole in range(3):
        answers = iter([False] * num_whole + [True])
        with pytest.raises(Stopped) as stopped:
            scorer.score(prepared, answers.__next__)
        assert list(stopped.value.results) == [*calm[:num_whole], *[None] * (3 - num_whole)]

"""The same pair, the same logit, bit for bit, whatever it is scored with: on a CPU, padding-free."""

import pytest
import torch

from rankmill.db.records.pairs import PairTexts
from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.model.layers import packed
from rankmill.worker.model.layers.batch_invariance import CPU_SAFE_ROWS
from rankmill.worker.scorer.model_scorer import ModelScorer
from rankmill.worker.scorer.protocol import score_once
from tests.support.inputs.models import WIDE
from tests.support.inputs.pair_texts import all_pairs, pair_texts, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE
from tests.worker.conftest import LoadScorer, ModelDirectory

EVERYTHING = all_pairs(QUERIES, [*DOCUMENTS, *STRANGE, LONG])
PROBES = [
    (QUERIES[0], DOCUMENTS[0]),
    (QUERIES[6], DOCUMENTS[11]),
    (QUERIES[2], STRANGE[0]),
    (QUERIES[1], LONG),
]
PLACES = (0, 67, 134, 203)
MANY = EVERYTHING[:200]
for place, probe in zip(PLACES, PROBES, strict=True):
    MANY.insert(place, probe)


def logit_of(scorer: ModelScorer, pair: tuple[str, str], others: list[tuple[str, str]]) -> float:
    pairs = [*others[: len(others) // 2], pair, *others[len(others) // 2 :]]
    return score_pairs(scorer, pairs)[len(others) // 2].logit


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16, Precision.INT8])
@pytest.mark.parametrize("family", ["xlm-roberta", "bert", WIDE, "electra", "modernbert", "modernbert-mean"])
def test_a_pair_has_the_same_logit_alone_among_ten_and_among_two_hundred(
    load: LoadScorer, family: str, precision: Precision
) -> None:
    scorer = load(family, precision=precision)
    among_many = [score.logit for score in score_pairs(scorer, MANY)]
    for place, pair in zip(PLACES, PROBES, strict=True):
        alone = logit_of(scorer, pair, [])
        among_ten = logit_of(scorer, pair, EVERYTHING[:90:10])
        assert MANY[place] == pair
        assert (alone, alone) == (among_ten, among_many[place]), pair
    for place in range(0, len(MANY), 7):
        assert logit_of(scorer, MANY[place], []) == among_many[place], MANY[place]


def test_so_it_has_whatever_the_budget(load: LoadScorer) -> None:
    scorers = [load("xlm-roberta", batch_tokens=tokens) for tokens in (100, 1000, 20_000)]
    for pair in PROBES:
        assert len({logit_of(scorer, pair, EVERYTHING[:100]) for scorer in scorers}) == 1


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16, Precision.INT8])
def test_so_it_has_whether_a_layer_goes_in_parts_or_as_a_whole(
    load: LoadScorer, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    scorer = load("bert", precision=precision, batch_tokens=20_000)
    as_a_whole = [score.logit for score in score_pairs(scorer, MANY)]
    assert scorer.prepare([pair_texts(MANY)]).batches[0].num_tokens > 2 * CPU_SAFE_ROWS, "two parts at least"
    monkeypatch.setattr(packed, "MAX_KEPT_BYTES", 1000)
    assert [score.logit for score in score_pairs(scorer, MANY)] == as_a_whole


def test_so_it_has_with_more_threads_whose_number_costs_rounding_at_most(
    load: LoadScorer, model_directory: ModelDirectory
) -> None:
    with_one_thread = [logit_of(load("bert"), pair, []) for pair in PROBES]
    torch.set_num_threads(2)
    try:
        spec = ScorerSpec(model=str(model_directory("bert")), precision=Precision.FP32)
        scorer = assemble(spec, None, "cpu")
        with_two = [logit_of(scorer, pair, []) for pair in PROBES]
        assert [logit_of(scorer, pair, EVERYTHING[:12]) for pair in PROBES] == with_two
    finally:
        torch.set_num_threads(1)
    # With AVX-512 equal bit for bit; with AVX2 the matrix library adds up in another order.
    assert with_two == pytest.approx(with_one_thread, abs=1e-5)


def test_a_shard_run_again_in_part_gives_the_same_scores(load: LoadScorer) -> None:
    """What is left of a shard after a kill is scored in other company than the first time."""
    scorer = load("modernbert")
    whole = {score[:2]: score for score in score_once(scorer, pair_texts(EVERYTHING)).scores}
    request = pair_texts(EVERYTHING)
    rest = PairTexts(pairs=request.pairs[37::3], texts=request.texts)
    again = score_once(scorer, rest).scores
    assert [whole[score[:2]] for score in again] == list(again)


def test_batches_of_a_shard_do_not_depend_on_the_shards_claimed_with_it(load: LoadScorer) -> None:
    scorer = load("bert")
    requests = [pair_texts(EVERYTHING[:50]), pair_texts(EVERYTHING[50:120])]
    alone = [[batch.ids.tolist() for batch in scorer.prepare([request]).batches] for request in requests]
    together = [batch.ids.tolist() for batch in scorer.prepare(requests).batches]
    assert together == alone[0] + alone[1]

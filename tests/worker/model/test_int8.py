"""Linear layers in 8-bit integers: near fp32, of each row alone, never chosen by itself, refused if wrong."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.db.scorers.identity import spec_digest
from rankmill.worker.errors import PrecisionUnsupported, QuantizationRefused
from rankmill.worker.loading import swap_layers
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.loading.precision import choose_dtype
from rankmill.worker.model.attention.packed import dense_by_length
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.model.layers.blocked_linear import BlockedLinear
from rankmill.worker.model.layers.int8 import QuantizedLinear
from rankmill.worker.scorer.model_scorer import ModelScorer
from tests.support.inputs.models import WIDE
from tests.support.inputs.pair_texts import all_pairs, score_pairs
from tests.support.inputs.texts import DOCUMENTS, QUERIES
from tests.worker.conftest import LoadScorer, ModelDirectory
from tests.worker.parity.plain import plain_logits

PAIRS = all_pairs(QUERIES, DOCUMENTS)


def linears_of(scorer: ModelScorer) -> set[type[nn.Module]]:
    """The kinds of linear layers among the modules that score, but for the head."""
    encoder = scorer.forward.encoder
    assert isinstance(encoder, PackedEncoder | PaddedEncoder)
    kinds = {type(part) for part in encoder.layers.modules()}
    return kinds & {nn.Linear, BlockedLinear, QuantizedLinear}


@pytest.mark.parametrize("family", ["xlm-roberta", "bert", "modernbert", "electra", "deberta"])
def test_logits_are_near_those_of_fp32(
    load: LoadScorer, model_directory: ModelDirectory, family: str
) -> None:
    scorer = load(family, precision=Precision.INT8)
    assert scorer.facts.dtype == "int8"
    found = np.asarray([score.logit for score in score_pairs(scorer, PAIRS)])
    expected = np.asarray(plain_logits(model_directory(family), PAIRS))
    assert np.corrcoef(found, expected)[0, 1] > 0.99
    assert np.abs(found - expected).mean() < 0.15 * expected.std()


@pytest.mark.parametrize("family", ["bert", "modernbert", "deberta"])
def test_every_linear_layer_but_the_head_s_multiplies_integers(load: LoadScorer, family: str) -> None:
    assert linears_of(load(family, precision=Precision.INT8)) == {QuantizedLinear}
    assert linears_of(load(family)) == {BlockedLinear}


def test_a_row_is_what_it_is_alone_and_whatever_its_values() -> None:
    torch.manual_seed(3)
    layer = nn.Linear(96, 40).requires_grad_(False)
    quantized = QuantizedLinear(layer)
    rows = torch.cat([torch.randn(60, 96), 1e4 * torch.randn(3, 96) + 3e4, torch.zeros(2, 96)])
    together = quantized(rows)
    alone = torch.cat([quantized(row.unsqueeze(0)) for row in rows])
    assert torch.equal(alone, together)
    difference = (together - layer(rows)).norm(dim=1) / layer(rows).norm(dim=1)
    assert difference.max() < 0.02
    assert not quantized(torch.tensor([[torch.nan] + [1.0] * 95, [torch.inf] + [1.0] * 95])).isfinite().any()


def test_sums_of_the_largest_products_do_not_overflow_on_any_processor() -> None:
    layer = nn.Linear(512, 8).requires_grad_(False)
    layer.weight.fill_(1.0)
    rows = torch.ones(4, 512)
    rows[:, 0] = 0.0
    torch.testing.assert_close(QuantizedLinear(layer)(rows), layer(rows), rtol=1e-3, atol=0)


def test_a_product_that_is_wrong_is_found_out_at_start(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = QuantizedLinear._multiply
    monkeypatch.setattr(QuantizedLinear, "_multiply", lambda layer, steps: right(layer, steps).flip(-1))
    spec = ScorerSpec(model=str(model_directory(WIDE)), precision=Precision.INT8)
    with pytest.raises(QuantizationRefused, match=r"is too inexact with int8: .*--precision auto"):
        assemble(spec, None, "cpu")


def test_attention_in_bf16_that_is_wrong_is_not_used(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> Tensor:
        return dense_by_length(query, key, value.flip(0), *rest)

    monkeypatch.setattr(swap_layers, "has_bf16_without_amx", lambda: True)
    monkeypatch.setattr(swap_layers, "query_blocks_in_bf16", wrong)
    scorer = assemble(ScorerSpec(model=str(model_directory(WIDE)), precision=Precision.INT8), None, "cpu")
    assert "fast_path_disagrees" in caplog.messages
    assert isinstance(scorer.forward.encoder, PackedEncoder)
    assert scorer.forward.encoder.kernel is dense_by_length
    assert linears_of(scorer) == {QuantizedLinear}


def test_it_is_never_chosen_by_itself_and_only_on_a_cpu() -> None:
    assert choose_dtype(Precision.AUTO, torch.device("cpu")) in (torch.float32, torch.bfloat16)
    with pytest.raises(PrecisionUnsupported, match="int8 is not supported on a GPU"):
        choose_dtype(Precision.INT8, torch.device("cuda"))


def test_it_is_another_scorer_than_fp32() -> None:
    digests = {spec_digest(ScorerSpec(model="demo", precision=precision)) for precision in Precision}
    assert len(digests) == len(Precision)

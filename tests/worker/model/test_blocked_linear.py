"""Linear layers that read their weights in blocks: the same numbers, taken back where they are not."""

import copy
import gc
import logging
import weakref
from typing import Any

import pytest
import torch
from torch import nn

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.loading.tensors.weights import load_model
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.model.layers.blocked_linear import BlockedLinear
from tests.support.inputs.pair_texts import all_pairs, score_pairs
from tests.support.inputs.texts import DOCUMENTS, QUERIES
from tests.worker.conftest import ModelDirectory
from tests.worker.parity.plain import plain_logits

PAIRS = all_pairs(QUERIES[:4], DOCUMENTS)


def make_linear(dtype: torch.dtype = torch.float32, *, has_bias: bool = True) -> nn.Linear:
    torch.manual_seed(5)
    return nn.Linear(96, 40, bias=has_bias).to(dtype).requires_grad_(False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("has_bias", [True, False])
def test_products_are_those_of_the_plain_layer(dtype: torch.dtype, has_bias: bool) -> None:
    linear = make_linear(dtype, has_bias=has_bias)
    rows = torch.randn(3, 7, 96).to(dtype)
    torch.testing.assert_close(BlockedLinear(linear)(rows), linear(rows))


@pytest.mark.parametrize("has_bias", [True, False])
def test_a_copy_is_a_plain_layer_of_its_own_with_the_same_weights(has_bias: bool) -> None:
    linear = make_linear(has_bias=has_bias)
    blocked = BlockedLinear(linear)
    copied: Any = copy.deepcopy(nn.Sequential(blocked))[0]
    assert type(copied) is nn.Linear
    rows = torch.randn(5, 96)
    assert torch.equal(copied(rows), linear(rows))
    expected = blocked(rows)
    copied.double()
    assert torch.equal(blocked(rows), expected)


def wrong(layer: BlockedLinear, rows: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.linear(rows, layer._weight.to_dense().flip(0), layer.bias)


def failing(layer: BlockedLinear, rows: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("could not create a primitive")


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
@pytest.mark.parametrize("family", ["xlm-roberta", "modernbert", "deberta"])
@pytest.mark.parametrize(("forward", "event"), [(wrong, "disagrees"), (failing, "failed")])
def test_where_they_are_wrong_or_fail_plain_layers_are_used_with_a_warning(
    model_directory: ModelDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    family: str,
    precision: Precision,
    forward: Any,
    event: str,
) -> None:
    monkeypatch.setattr(BlockedLinear, "forward", forward)
    caplog.set_level(logging.WARNING)
    scorer = assemble(ScorerSpec(model=str(model_directory(family)), precision=precision), None, "cpu")
    assert f"fast_path_{event}" in caplog.messages
    encoder = scorer.forward.encoder
    assert isinstance(encoder, PackedEncoder | PaddedEncoder)
    assert not any(isinstance(part, BlockedLinear) for part in encoder.layers.modules())
    found = [score.logit for score in score_pairs(scorer, PAIRS)]
    near = 1e-4 if precision is Precision.FP32 else 0.3
    assert found == pytest.approx(plain_logits(model_directory(family), PAIRS), abs=near)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_plain_weights_are_let_go_when_a_model_is_loaded(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    stock: list[weakref.ref[torch.Tensor]] = []

    def watched(*arguments: Any) -> Any:
        model: Any = load_model(*arguments)
        linears = [part for part in model.roberta.encoder.modules() if isinstance(part, nn.Linear)]
        stock.extend(weakref.ref(linear.weight) for linear in linears)
        return model

    monkeypatch.setattr("rankmill.worker.loading.assemble.load_model", watched)
    scorer = assemble(ScorerSpec(model=str(model_directory("xlm-roberta")), precision=precision), None, "cpu")
    gc.collect()
    assert len(stock) == 12
    assert [weight for weight in stock if weight() is not None] == []
    assert scorer.facts.device == "cpu"

"""Compiled layers are used where they are faster and right; one graph serves all of them."""

import logging
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.loading.compile_layers import compile_layers
from rankmill.worker.model.encoders import PackedEncoder
from rankmill.worker.model.layers.batch_invariance import CPU_ROW_STEP
from rankmill.worker.model.layers.packed import AfterAttention, PackedLayer, after_attention
from rankmill.worker.scorer.model_scorer import ModelScorer
from tests.support.inputs.models import SMALL, make_model
from tests.support.inputs.pair_texts import all_pairs, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES
from tests.worker.conftest import ModelDirectory
from tests.worker.parity.plain import plain_logits

PAIRS = all_pairs(QUERIES[:4], [*DOCUMENTS, LONG[:3000]])

ASSEMBLE = "rankmill.worker.loading.assemble"
COMPILE = "rankmill.worker.loading.compile_layers"


@pytest.fixture(autouse=True)
def on_a_cpu_and_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are compiled though this is no GPU, and are timed as faster than plain ones."""
    monkeypatch.setattr(f"{ASSEMBLE}.block_weights", partial(compile_layers, batch_tokens=None))
    monkeypatch.setattr(f"{ASSEMBLE}.find_min_rows", lambda *_: CPU_ROW_STEP)
    say_seconds(monkeypatch, plain=2.0, compiled=1.0)


def say_seconds(monkeypatch: pytest.MonkeyPatch, *, plain: float, compiled: float) -> None:
    monkeypatch.setattr(f"{COMPILE}._median_seconds", lambda *_: [plain, compiled])


def load(model_directory: ModelDirectory, family: str = "xlm-roberta") -> ModelScorer:
    spec = ScorerSpec(model=str(model_directory(family)), precision=Precision.FP32)
    return assemble(spec, None, "cpu")


def ways(scorer: ModelScorer) -> set[AfterAttention]:
    """By what its layers compute what follows attention."""
    encoder = scorer.forward.encoder
    assert isinstance(encoder, PackedEncoder)
    return {layer.after_attention for layer in encoder.layers.modules() if isinstance(layer, PackedLayer)}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_one_graph_serves_all_layers_and_any_number_of_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(SMALL, "num_hidden_layers", 5)
    model = make_model("xlm-roberta", tmp_path / "model")
    caplog.set_level(logging.INFO, "rankmill.worker")
    counters.clear()
    scorer = load(lambda _: model)
    assert caplog.messages == ["layers_compiled", "scorer_loaded"]
    assert after_attention not in ways(scorer)
    expected = plain_logits(model, PAIRS)
    for pairs in (PAIRS, PAIRS[:1], PAIRS[-2:], PAIRS[:7]):
        found = [score.logit for score in score_pairs(scorer, pairs)]
        assert found == pytest.approx([expected[PAIRS.index(pair)] for pair in pairs], abs=1e-4)
    assert counters["stats"]["unique_graphs"] == 1


def wrong(layer: PackedLayer, context: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return after_attention(layer, rows, context)


def failing(*_: Any) -> torch.Tensor:
    raise RuntimeError("Failed to find C compiler.")


@pytest.mark.parametrize(("way", "event"), [(wrong, "disagrees"), (failing, "failed")])
def test_where_they_are_wrong_or_fail_plain_layers_are_used_with_a_warning(
    model_directory: ModelDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: AfterAttention,
    event: str,
) -> None:
    monkeypatch.setattr(f"{COMPILE}.compiled_after_attention", lambda: way)
    scorer = load(model_directory)
    assert f"fast_path_{event}" in caplog.messages
    assert ways(scorer) == {after_attention}


def test_where_there_is_no_compiler_plain_layers_are_used_with_a_warning(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "compile", failing)
    assert ways(load(model_directory)) == {after_attention}
    assert "fast_path_failed" in caplog.messages


def slow(layer: PackedLayer, context: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    for _ in range(100):
        after_attention(layer, context, rows)
    return after_attention(layer, context, rows)


def as_plain(layer: PackedLayer, context: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return after_attention(layer, context, rows)


@pytest.mark.parametrize(("seconds", "expected"), [(1.0, as_plain), (2.0, after_attention)])
def test_they_are_kept_only_where_they_are_faster(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, seconds: float, expected: AfterAttention
) -> None:
    monkeypatch.setattr(f"{COMPILE}.compiled_after_attention", lambda: as_plain)
    say_seconds(monkeypatch, plain=2.0, compiled=seconds)
    assert ways(load(model_directory)) == {expected}


def test_time_is_measured_both_ways(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(f"{ASSEMBLE}.block_weights", partial(compile_layers, batch_tokens=100))
    monkeypatch.setattr(f"{COMPILE}.compiled_after_attention", lambda: failing)
    assert ways(load(model_directory)) == {after_attention}
    assert "fast_path_failed" in caplog.messages
    monkeypatch.setattr(f"{COMPILE}.compiled_after_attention", lambda: slow)
    assert ways(load(model_directory)) == {after_attention}


def test_what_is_scored_again_in_fp32_is_computed_by_plain_layers(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{COMPILE}.compiled_after_attention", lambda: as_plain)
    scorer = load(model_directory)
    encoder = scorer.forward.encoder
    assert isinstance(encoder, PackedEncoder)
    scorer.forward.encoder = encoder.in_fp32()
    assert ways(scorer) == {after_attention}


def test_a_family_with_layers_of_another_kind_is_left_alone(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{COMPILE}.compiled_after_attention", failing)
    encoder = load(model_directory, "modernbert").forward.encoder
    assert isinstance(encoder, PackedEncoder)
    assert not encoder.has_packed_layers

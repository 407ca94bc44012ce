"""A fast path that is wrong is found out at start and never used."""

import logging
from typing import Any

import numpy as np
import pytest
import torch

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.worker.loading import self_test
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.model.attention.packed import Segments, run_by_run
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from tests.support.inputs.pair_texts import all_pairs, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES
from tests.worker.conftest import ModelDirectory
from tests.worker.parity.plain import plain_logits

PAIRS = all_pairs(QUERIES[:4], [*DOCUMENTS, LONG[:200]])


def across_documents(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments, scale: float, reach: Any
) -> torch.Tensor:
    """What "sdpa" silently does to a flattened batch: everything attends to everything."""
    total = sum(length * count for _, length, count in segments.runs)
    everything = Segments(segments.bounds, [(0, total, 1)], total, segments.kernel)
    return run_by_run(query, key, value, everything, scale, reach)


def blind_to_locality(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments, scale: float, _: Any
) -> torch.Tensor:
    return run_by_run(query, key, value, segments, scale, None)


def failing(*_: Any) -> torch.Tensor:
    raise NotImplementedError("no such kernel on this device")


def load(model_directory: ModelDirectory, family: str, precision: Precision = Precision.FP32) -> Any:
    return assemble(ScorerSpec(model=str(model_directory(family)), precision=precision), None, "cpu")


@pytest.mark.parametrize("family", ["xlm-roberta", "bert", "modernbert"])
@pytest.mark.parametrize("kernel", [across_documents, failing])
def test_a_wrong_kernel_makes_the_model_run_padded_with_a_warning_and_right_logits(
    model_directory: ModelDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    family: str,
    kernel: Any,
) -> None:
    monkeypatch.setattr(self_test, "kernels_for", lambda *_: [kernel])
    scorer = load(model_directory, family)
    assert isinstance(scorer.forward.encoder, PaddedEncoder)
    assert scorer.forward.cost.is_padded
    assert "fell_back_to_padded" in caplog.messages
    found = [score.logit for score in score_pairs(scorer, PAIRS)]
    np.testing.assert_allclose(found, plain_logits(model_directory(family), PAIRS), rtol=0, atol=1e-4)


def test_a_kernel_blind_to_sliding_windows_is_found_out(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(self_test, "kernels_for", lambda *_: [blind_to_locality, run_by_run])
    encoder = load(model_directory, "modernbert").forward.encoder
    assert isinstance(encoder, PackedEncoder)
    assert encoder.kernel is run_by_run
    assert "fast_path_disagrees" in caplog.messages


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
@pytest.mark.parametrize("family", ["xlm-roberta", "roberta"])
def test_positions_counted_from_the_wrong_number_are_found_out(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, family: str, precision: Precision
) -> None:
    monkeypatch.setattr("rankmill.worker.loading.assemble.first_position", lambda *_: 0)
    assert isinstance(load(model_directory, family, precision).forward.encoder, PaddedEncoder)


@pytest.mark.parametrize("family", ["xlm-roberta", "bert", "modernbert", "modernbert-mean", "roberta"])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_the_right_path_is_never_refused(
    model_directory: ModelDirectory, caplog: pytest.LogCaptureFixture, family: str, precision: Precision
) -> None:
    caplog.set_level(logging.WARNING)
    assert isinstance(load(model_directory, family, precision).forward.encoder, PackedEncoder)
    assert caplog.messages == []

"""A fast path that is wrong is found out at start and never used."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.worker.checks.doctor import examine
from rankmill.worker.errors import TrialFailed
from rankmill.worker.loading import self_test
from rankmill.worker.loading.assemble import assemble
from rankmill.worker.model.attention.packed import Segments, dense_by_length
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.scorer.protocol import score_once
from tests.support.inputs.layouts import change_weights
from tests.support.inputs.pair_texts import all_pairs, pair_texts, score_pairs
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
    return dense_by_length(query, key, value, everything, scale, reach)


def blind_to_locality(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments, scale: float, _: Any
) -> torch.Tensor:
    return dense_by_length(query, key, value, segments, scale, None)


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
    monkeypatch.setattr(self_test, "kernels_for", lambda *_: [blind_to_locality, dense_by_length])
    encoder = load(model_directory, "modernbert").forward.encoder
    assert isinstance(encoder, PackedEncoder)
    assert encoder.kernel is dense_by_length
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


@pytest.mark.parametrize(
    ("family", "says"),
    [
        ("fnet", "gives other logits for pairs together than for each alone .FNetForSequenceClassification."),
        ("nystromformer", "does not run as NystromformerForSequenceClassification"),
    ],
)
def test_a_model_that_does_not_bear_padding_is_refused(
    model_directory: ModelDirectory, family: str, says: str
) -> None:
    """FNet mixes all tokens of a row, padding too; Nystromformer takes only lengths of its own."""
    with pytest.raises(TrialFailed, match=says):
        load(model_directory, family)


def test_a_padded_model_that_bears_it_is_kept(
    model_directory: ModelDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    for precision in (Precision.FP32, Precision.BF16):
        assert isinstance(load(model_directory, "deberta", precision).forward.encoder, PaddedEncoder)
    assert set(caplog.messages) == {"padded_model"}


def test_an_fp32_twin_that_disagrees_gives_no_score(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scorer = load(model_directory, "bert", Precision.BF16)
    encoder: PackedEncoder = scorer.forward.encoder
    lost = {1}

    class Losing:
        is_padded = False

        def logits(self, batch: Any) -> torch.Tensor:
            logits = encoder.logits(batch).clone()
            logits[[place for place, index in enumerate(batch.indexes) if index in lost]] = torch.nan
            return logits

        def num_computed_tokens(self, batch: Any) -> int:
            return encoder.num_computed_tokens(batch)

    scorer.forward.encoder = Losing()
    right = PackedEncoder.in_fp32

    def other_kernel(self: PackedEncoder) -> PackedEncoder:
        twin = right(self)
        twin.kernel = across_documents
        return twin

    monkeypatch.setattr(PackedEncoder, "in_fp32", other_kernel)
    result = score_once(scorer, pair_texts(PAIRS[:4]))
    assert "fast_path_disagrees" in caplog.messages
    (failure,) = result.failures
    assert "no finite number" in failure.reason
    assert len(result.scores) == 3


@pytest.mark.parametrize("name", ["classifier.weight", "bert.embeddings.word_embeddings.weight"])
def test_unlike_pairs_with_one_score_are_told(
    model_directory: ModelDirectory,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    """By a head of zeros, or because the model sees how many words there are and not which."""
    directory = Path(shutil.copytree(model_directory("bert"), tmp_path / "model"))
    change_weights(directory, lambda weights: weights[name].zero_())
    assemble(ScorerSpec(model=str(directory), precision=Precision.FP32), None, "cpu")
    assert "no_spread" in caplog.messages
    assert examine(str(directory), None, "fp32", is_json=True) == 0
    assert "same score" in json.loads(capsys.readouterr().out)["warning"]
    assert examine(str(model_directory("bert")), None, "fp32", is_json=True) == 0
    assert "warning" not in json.loads(capsys.readouterr().out)

"""Compiled layers are used where they are faster and right; one graph serves all of them."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from db.records import Precision, ScorerSpec
from tests.engine.conftest import ModelDirectory
from tests.engine.plain import plain_logits
from tests.support.models import SMALL, make_model
from tests.support.texts import DOCUMENTS, LONG, QUERIES
from tests.support.works import all_pairs, score_pairs
from worker import assembly, compiled_layers
from worker.assembly import assemble
from worker.compiled_layers import FOLDER_SETTING, compile_layers
from worker.cross_encoder import PackedEncoder
from worker.model_scorer import ModelScorer
from worker.packed_layer import Finish, PackedLayer, finish

PAIRS = all_pairs(QUERIES[:4], [*DOCUMENTS, LONG[:3000]])


@pytest.fixture(autouse=True)
def on_a_cpu_and_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are compiled though this is no GPU, and are timed as faster than plain ones."""
    monkeypatch.setattr(assembly, "lay_in_blocks", compile_layers)
    monkeypatch.setenv(FOLDER_SETTING, "")
    say_seconds(monkeypatch, [2.0, 1.0])


def say_seconds(monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> None:
    monkeypatch.setattr(compiled_layers, "_seconds", lambda *_: seconds.pop(0))


def load(model_directory: ModelDirectory, family: str = "xlm-roberta") -> ModelScorer:
    spec = ScorerSpec(model=str(model_directory(family)), precision=Precision.FP32)
    return assemble(spec, None, "cpu")


def ways(scorer: ModelScorer) -> set[Finish]:
    """By what its layers compute what follows attention."""
    encoder = scorer.forward.encoder
    assert isinstance(encoder, PackedEncoder)
    return {layer.finish for layer in encoder.layers.modules() if isinstance(layer, PackedLayer)}


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
    assert finish not in ways(scorer)
    expected = plain_logits(model, PAIRS)
    for pairs in (PAIRS, PAIRS[:1], PAIRS[-2:], PAIRS[:7]):
        found = [score.logit for score in score_pairs(scorer, pairs)]
        assert found == pytest.approx([expected[PAIRS.index(pair)] for pair in pairs], abs=1e-4)
    assert counters["stats"]["unique_graphs"] == 1


def wrong(layer: PackedLayer, context: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return finish(layer, rows, context)


def failing(*_: Any) -> torch.Tensor:
    raise RuntimeError("Failed to find C compiler.")


@pytest.mark.parametrize(("way", "event"), [(wrong, "disagrees"), (failing, "failed")])
def test_where_they_are_wrong_or_fail_plain_layers_are_used_with_a_warning(
    model_directory: ModelDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: Finish,
    event: str,
) -> None:
    monkeypatch.setattr(compiled_layers, "compiled", lambda: way)
    scorer = load(model_directory)
    assert f"fast_path_{event}" in caplog.messages
    assert ways(scorer) == {finish}


def test_where_there_is_no_compiler_plain_layers_are_used_with_a_warning(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "compile", failing)
    assert ways(load(model_directory)) == {finish}
    assert "fast_path_failed" in caplog.messages


def as_plain(layer: PackedLayer, context: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return finish(layer, context, rows)


@pytest.mark.parametrize(("seconds", "expected"), [([2.0, 1.0], as_plain), ([1.0, 1.0], finish)])
def test_they_are_kept_only_where_they_are_faster(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch, seconds: list[float], expected: Finish
) -> None:
    monkeypatch.setattr(compiled_layers, "compiled", lambda: as_plain)
    say_seconds(monkeypatch, seconds)
    assert ways(load(model_directory)) == {expected}


def test_what_is_scored_again_in_fp32_is_computed_by_plain_layers(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_layers, "compiled", lambda: as_plain)
    scorer = load(model_directory)
    encoder = scorer.forward.encoder
    assert isinstance(encoder, PackedEncoder)
    scorer.forward.encoder = encoder.exact()
    assert ways(scorer) == {finish}


def test_a_family_with_layers_of_another_kind_is_left_alone(
    model_directory: ModelDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_layers, "compiled", failing)
    encoder = load(model_directory, "modernbert").forward.encoder
    assert isinstance(encoder, PackedEncoder)
    assert not encoder.has_packed_layers


def test_the_compiler_runs_nothing_that_another_user_could_have_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    for chosen in ("", str(tmp_path / "missing"), str(tmp_path)):
        monkeypatch.setenv(FOLDER_SETTING, chosen)
        folder = compiled_layers._own_folder()
        assert folder is not None
        assert os.environ[FOLDER_SETTING] == folder.name
        assert Path(folder.name).stat().st_mode & 0o777 == 0o700
    tmp_path.chmod(0o755)
    monkeypatch.setenv(FOLDER_SETTING, str(tmp_path))
    assert compiled_layers._own_folder() is None
    assert os.environ[FOLDER_SETTING] == str(tmp_path)

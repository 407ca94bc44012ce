"""Weights that do not make the model that config.json describes are refused, with what is wrong with them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.producer.errors import MissingPrerequisite
from rankmill.producer.submission.model_folder import check_model_folder
from rankmill.worker.errors import (
    BrokenWeights,
    ConfigRefused,
    HeadMissing,
    ModelError,
    NotAModel,
    NotMerged,
    Quantized,
    TrialFailed,
    WeightsLeftOver,
)
from rankmill.worker.loading.load import load_scorer
from tests.support.inputs.layouts import WEIGHTS, change_json, change_weights, in_a_trainers_folder, in_shards
from tests.support.inputs.models import make_base_model
from tests.worker.conftest import ModelDirectory

Weights = dict[str, torch.Tensor]
LAYER = "bert.encoder.layer.1."


@pytest.fixture
def copied(model_directory: ModelDirectory, tmp_path: Path) -> Path:
    """A BERT directory that a test may spoil."""
    return Path(shutil.copytree(model_directory("bert"), tmp_path / "bert"))


def refused(directory: Path, error: type[ModelError], says: str, **settings: Any) -> None:
    with pytest.raises(error, match=says):
        load_scorer(ScorerSpec(model=str(directory), precision=Precision.FP32, **settings), device="cpu")


def refused_at_submission(directory: Path, says: str) -> None:
    with pytest.raises(MissingPrerequisite, match=says):
        check_model_folder("model", directory)


@pytest.mark.parametrize("family", ["bert", "xlm-roberta", "modernbert", "distilbert"])
def test_an_encoder_whose_config_names_no_class_gets_no_head_of_random_numbers(
    tmp_path: Path, family: str
) -> None:
    directory = make_base_model(family, tmp_path / "model")
    change_json(directory / "config.json", "architectures", "id2label", num_labels=1)
    refused(directory, HeadMissing, "no trained head: its weights lack classifier.*not a cross-encoder")


@pytest.mark.parametrize(
    "missing", [LAYER + "output.dense.weight", "bert.pooler.dense.bias", "classifier.bias"]
)
def test_one_weight_that_is_missing_is_named(copied: Path, missing: str) -> None:
    change_weights(copied, lambda weights: weights.pop(missing))
    refused(copied, BrokenWeights, rf"they lack {missing}")


def test_a_config_of_more_layers_than_the_weights_have(copied: Path) -> None:
    change_json(copied / "config.json", num_hidden_layers=3)
    refused(copied, BrokenWeights, r"they lack bert\.encoder\.layer\.2\..* and 13 more")


def test_a_config_of_fewer_layers_than_the_weights_have(copied: Path) -> None:
    change_json(copied / "config.json", num_hidden_layers=1)
    refused(copied, WeightsLeftOver, r"nothing there takes bert\.encoder\.layer\.1\..* and 13 more")


def test_a_part_of_a_layer_that_the_config_does_not_know(copied: Path) -> None:
    name = LAYER + "attention.self.distance_embedding.weight"
    change_weights(copied, lambda weights: weights.update({name: torch.zeros(9, 8)}))
    refused(copied, WeightsLeftOver, "distance_embedding")


def test_a_shape_that_the_config_does_not_have(copied: Path) -> None:
    change_json(copied / "config.json", intermediate_size=96)
    named = r"bert\.encoder\.layer\.0\.intermediate\.dense\.bias"
    refused(copied, BrokenWeights, f"{named} is 64, and config.json describes 96")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "name", ["classifier.weight", LAYER + "output.dense.bias", "bert.embeddings.word_embeddings.weight"]
)
def test_a_weight_that_is_no_number(copied: Path, name: str, value: float) -> None:
    def spoil(weights: Weights) -> None:
        weights[name].view(-1)[-1] = value

    change_weights(copied, spoil)
    refused(copied, BrokenWeights, f"{name} hold what is no finite number in float32")


def test_numbers_too_large_to_compute_with(copied: Path) -> None:
    change_weights(copied, lambda weights: weights["classifier.weight"].fill_(3e38))
    refused(copied, TrialFailed, "gives no finite numbers for ordinary pairs in float32")


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_weights_in_few_bits(copied: Path, kind: torch.dtype) -> None:
    name = LAYER + "output.dense.weight"
    change_weights(copied, lambda weights: weights.update({name: weights[name].to(kind)}))
    refused(copied, Quantized, rf"{name} is of type .*--precision int8")


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "awq", "compressed-tensors"])
def test_a_config_that_says_quantised(copied: Path, method: str) -> None:
    change_json(copied / "config.json", quantization_config={"quant_method": method, "load_in_4bit": True})
    refused(copied, Quantized, rf"quantised \({method}\)")
    refused_at_submission(copied, "quantised")


def test_scales_beside_weights(copied: Path) -> None:
    scales = {
        LAYER + "output.dense.SCB": torch.zeros(32),
        LAYER + "output.dense.weight_format": torch.zeros(1),
    }
    change_weights(copied, lambda weights: weights.update(scales))
    refused(copied, Quantized, "SCB")


def test_an_adapter_that_was_not_merged(copied: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "x"}')
    save_file(
        {"base_model.model.classifier.lora_A.weight": torch.zeros(4, 32)},
        adapter / "adapter_model.safetensors",
    )
    for directory in (adapter, copied):
        shutil.copy(adapter / "adapter_config.json", copied) if directory is copied else None
        refused(directory, NotMerged, r"holds an adapter.*merge_and_unload")
        refused_at_submission(directory, r"adapter.*merge_and_unload")


def test_an_adapter_inside_the_weights(copied: Path) -> None:
    lora = {LAYER + "attention.self.query.lora_A.default.weight": torch.zeros(4, 32)}
    change_weights(copied, lambda weights: weights.update(lora))
    refused(copied, WeightsLeftOver, r"lora_A.*merge an adapter first")


def test_a_trainer_s_folder_names_the_models_in_it(copied: Path) -> None:
    in_a_trainers_folder(copied)
    for name in ("config.json", WEIGHTS):
        (copied / name).unlink()
    refused(copied, NotAModel, "trainer's folder.*checkpoint-1000, checkpoint-500")
    refused_at_submission(copied, "trainer's folder.*checkpoint-1000, checkpoint-500")


@pytest.mark.parametrize(
    ("name", "kind"), [("model.gguf", "GGUF"), ("model.onnx", "ONNX"), ("openvino_model.xml", "OpenVINO")]
)
def test_a_folder_of_another_runtime(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(b"0")
    refused(tmp_path, NotAModel, f"{name} is {kind}, which is not read here")


def test_only_a_trainer_s_pickles_are_no_weights(copied: Path) -> None:
    (copied / WEIGHTS).unlink()
    torch.save({}, copied / "training_args.bin")
    refused(copied, NotAModel, r"has no model\.safetensors")


def test_shards_without_their_index_or_without_one_of_them(copied: Path) -> None:
    in_shards(copied)
    index = copied / "model.safetensors.index.json"
    first, *_ = sorted(copied.glob("model-*.safetensors"))
    content = index.read_text()
    index.unlink()
    refused(copied, NotAModel, "index.json, which says what the parts")
    index.write_text(content)
    named = json.loads(content)
    index.write_text(
        json.dumps(named | {"weight_map": named["weight_map"] | {"classifier.extra": first.name}})
    )
    refused(copied, BrokenWeights, "no file holds classifier.extra")
    index.write_text(json.dumps(named | {"weight_map": {}}))
    refused(copied, BrokenWeights, "names no files")
    index.write_text(content)
    first.unlink()
    refused(copied, BrokenWeights, rf"not there: {first.name}")
    refused_at_submission(copied, rf"lack {first.name}")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"0" * 100)


def no_header(path: Path) -> None:
    path.write_bytes((1000).to_bytes(8, "little") + b"[" * 5000)


@pytest.mark.parametrize("spoil", [cut, lengthen, no_header])
def test_a_file_that_is_not_whole(copied: Path, spoil: Callable[[Path], None]) -> None:
    spoil(copied / WEIGHTS)
    refused(copied, BrokenWeights, r"model\.safetensors (has [\d,]+ bytes and should have|cannot be read)")


def test_a_config_that_contradicts_itself(copied: Path) -> None:
    change_json(copied / "config.json", hidden_size=30)
    refused(copied, ModelError, "cannot be used|refused by the installed transformers")
    change_json(copied / "config.json", hidden_size=32, hidden_act="swigluu")
    refused(copied, ConfigRefused, "swigluu")
    change_json(copied / "config.json", hidden_act="gelu", problem_type="single_label_classification")
    refused(copied, ConfigRefused, "problem_type")


def test_a_table_of_positions_bounds_the_length(copied: Path) -> None:
    weights = load_file(copied / WEIGHTS)
    name = "bert.embeddings.position_embeddings.weight"
    weights[name] = weights[name][:64].clone()
    save_file(weights, copied / WEIGHTS, metadata={"format": "pt"})
    refused(
        copied, BrokenWeights, "position_embeddings.weight is 64 x 32, and config.json describes 512 x 32"
    )
    change_json(copied / "config.json", max_position_embeddings=64)
    scorer: Any = load_scorer(ScorerSpec(model=str(copied), precision=Precision.FP32), device="cpu")
    assert scorer.limits.max_length == 64

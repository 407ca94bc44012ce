"""Models that cannot or must not be used are refused before they are loaded, with what to do instead."""

import json
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.db.scorers.model_files import files_digest
from rankmill.worker.errors import (
    ArchitectureUnsupported,
    BrokenWeights,
    DecoderUnsupported,
    DeviceUnavailable,
    FilesMismatch,
    LengthUnsupported,
    ModelError,
    ModelNotFound,
    NotACrossEncoder,
    NotAModel,
    PickleWeightsOnly,
    RemoteCodeRefused,
    TokenizerUnsupported,
)
from rankmill.worker.loading.files.checkpoint import find_checkpoint
from rankmill.worker.loading.load import load_scorer
from tests.support.inputs.pair_texts import score_pairs
from tests.support.inputs.texts import DOCUMENTS, QUERIES
from tests.worker.conftest import ModelDirectory


@pytest.fixture
def copied(model_directory: ModelDirectory, tmp_path: Path) -> Path:
    """A BERT directory that a test may spoil."""
    return Path(shutil.copytree(model_directory("bert"), tmp_path / "bert"))


def spec(directory: Path, **settings: Any) -> ScorerSpec:
    return ScorerSpec(model=str(directory), precision=Precision.FP32, **settings)


def set_config(directory: Path, **settings: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def refused(directory: Path, error: type[ModelError], says: str, **settings: Any) -> None:
    with pytest.raises(error, match=says):
        load_scorer(spec(directory, **settings), device="cpu")


def test_a_directory_that_is_no_model_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, NotAModel, r"config\.json")


def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", ModelNotFound, "no such directory")


def test_weights_in_pickle_form_only_are_refused(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    torch.save(weights, copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    refused(copied, PickleWeightsOnly, r"pytorch_model\.bin.*never read.*save_pretrained")


def test_a_pickle_beside_safetensors_is_not_touched(copied: Path) -> None:
    (copied / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert load_scorer(spec(copied), device="cpu").facts.dtype == "float32"


def test_a_model_without_weights_is_refused(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    refused(copied, NotAModel, r"model\.safetensors")


@pytest.mark.parametrize("num_labels", [2, 3])
def test_more_than_one_label_is_refused(copied: Path, num_labels: int) -> None:
    set_config(copied, id2label={str(number): f"LABEL_{number}" for number in range(num_labels)})
    refused(copied, NotACrossEncoder, f"gives {num_labels} labels; a cross-encoder gives one")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_code_of_the_models_own_is_refused(copied: Path, name: str) -> None:
    path = copied / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoModel": "evil.Model"}}))
    refused(copied, RemoteCodeRefused, "auto_map")


@pytest.mark.parametrize(
    ("model_type", "architecture"),
    [
        ("qwen3", "Qwen3ForCausalLM"),
        ("qwen3", "Qwen3ForSequenceClassification"),
        ("gemma", "GemmaForCausalLM"),
        ("t5", "T5ForConditionalGeneration"),
        ("llama", "LlamaForSequenceClassification"),
    ],
)
def test_decoders_are_refused_naming_what_is_supported(
    copied: Path, model_type: str, architecture: str
) -> None:
    set_config(copied, model_type=model_type, architectures=[architecture])
    refused(copied, DecoderUnsupported, f"{architecture}.*Supported are encoders.*XLM-RoBERTa")


def test_an_encoder_without_a_classification_head_is_refused(copied: Path) -> None:
    set_config(copied, architectures=["BertModel"])
    refused(copied, ArchitectureUnsupported, "BertModel, not a sequence classifier")


def test_a_kind_of_model_that_transformers_does_not_know_is_refused(copied: Path) -> None:
    set_config(copied, model_type="from-next-year", architectures=["NextForSequenceClassification"])
    with pytest.raises(ModelError, match=r"Supported are|tokenizer"):
        load_scorer(spec(copied), device="cpu")


def test_weights_that_lack_the_head_are_refused_rather_than_filled_with_random_numbers(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    refused(copied, BrokenWeights, r"lack classifier\.weight")


def test_weights_of_another_shape_are_refused(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    weights["classifier.weight"] = torch.zeros(2, 7)
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    refused(copied, BrokenWeights, "cannot be used")


@pytest.mark.parametrize("num_bytes", [0, 5, 5000])
def test_a_safetensors_file_cut_short_is_refused(copied: Path, num_bytes: int) -> None:
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:num_bytes])
    refused(copied, BrokenWeights, "Fetch or copy the model's files again")


def test_an_index_that_names_missing_files_is_refused(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    index = {"weight_map": {"classifier.weight": "model-00001-of-00002.safetensors"}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(copied, BrokenWeights, r"model-00001-of-00002\.safetensors")


def test_a_config_that_is_not_json_is_refused(copied: Path) -> None:
    (copied / "config.json").write_text("{ this is not JSON")
    refused(copied, NotAModel, r"readable config\.json")


def test_a_model_without_a_usable_tokenizer_is_refused(copied: Path) -> None:
    (copied / "tokenizer.json").write_text("{}")
    refused(copied, TokenizerUnsupported, r"tokenizer\.json")


def test_files_other_than_those_the_job_was_submitted_with_are_refused(copied: Path) -> None:
    digest = files_digest(copied)
    assert load_scorer(spec(copied, files_digest=digest), device="cpu")
    set_config(copied, hidden_dropout_prob=0.5)
    refused(copied, FilesMismatch, f"the job was submitted with {digest[:12]}", files_digest=digest)


def test_more_tokens_than_positions_are_refused(copied: Path) -> None:
    refused(copied, LengthUnsupported, "at most 512 tokens", max_length=513)


def test_a_device_that_is_not_there_is_refused(copied: Path) -> None:
    for device in ("cuda:99", "abacus"):
        with pytest.raises(DeviceUnavailable, match=device):
            load_scorer(spec(copied), device=device)


def test_weights_in_several_files_are_read(model_directory: ModelDirectory, copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for part, held in parts.items():
        save_file({name: weights[name] for name in held}, copied / part, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: part for part, held in parts.items() for name in held}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    pairs = [(QUERIES[0], document) for document in DOCUMENTS]
    whole = load_scorer(spec(model_directory("bert")), device="cpu")
    parted = load_scorer(spec(copied), device="cpu")
    assert score_pairs(parted, pairs) == score_pairs(whole, pairs)
    assert len(find_checkpoint(spec(copied)).weights) == 2


@pytest.fixture
def offline_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache on a machine without a network, as the hub's own client lays it out."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return cache


def put_in_cache(cache: Path, model: str, directory: Path, revision: str = "main") -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    home = cache / f"models--{model.replace('/', '--')}"
    shutil.copytree(directory, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / revision).write_text(commit)


def test_a_hub_model_in_the_cache_loads_without_a_network(
    offline_hub: Path, model_directory: ModelDirectory
) -> None:
    put_in_cache(offline_hub, "someone/reranker", model_directory("bert"))
    pairs = [(QUERIES[0], document) for document in DOCUMENTS]
    hub = load_scorer(ScorerSpec(model="someone/reranker", precision=Precision.FP32), device="cpu")
    local = load_scorer(spec(model_directory("bert")), device="cpu")
    assert score_pairs(hub, pairs) == score_pairs(local, pairs)
    assert hub.facts == local.facts


def test_a_hub_model_that_cannot_be_fetched_is_refused(offline_hub: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"'someone/unknown' cannot be read.*HF_HUB_OFFLINE"):
        load_scorer(ScorerSpec(model="someone/unknown"))


def test_an_unknown_revision_is_refused(offline_hub: Path, model_directory: ModelDirectory) -> None:
    put_in_cache(offline_hub, "someone/reranker", model_directory("bert"))
    with pytest.raises(ModelNotFound, match="at revision 'v9'"):
        load_scorer(ScorerSpec(model="someone/reranker", revision="v9"))


def test_a_name_that_is_no_name_is_refused(offline_hub: Path) -> None:
    with pytest.raises(ModelNotFound, match="cannot be read"):
        load_scorer(ScorerSpec(model="not a model!"))


def test_a_hub_model_with_pickles_only_is_refused(offline_hub: Path, copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    put_in_cache(offline_hub, "someone/pickled", copied)
    with pytest.raises(PickleWeightsOnly, match="no weights in safetensors form"):
        load_scorer(ScorerSpec(model="someone/pickled"))


def test_facts_say_what_computes(model_directory: ModelDirectory, copied: Path) -> None:
    facts = load_scorer(spec(model_directory("bert")), device="cpu").facts
    same = load_scorer(spec(copied), device="cpu").facts
    assert facts == same
    assert (facts.device, facts.dtype) == ("cpu", "float32")
    weights = load_file(copied / "model.safetensors")
    weights["classifier.bias"] += 1
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    other = load_scorer(spec(copied), device="cpu").facts
    assert other.weights_digest != facts.weights_digest
    assert other.tokenizer_digest == facts.tokenizer_digest


def test_a_config_that_changes_under_the_same_weights_is_another_digest(copied: Path) -> None:
    """A hub model is named, not digested, when a job is submitted: only the engine's facts tell."""
    facts = load_scorer(spec(copied), device="cpu").facts
    set_config(copied, hidden_act="relu")
    other = load_scorer(spec(copied), device="cpu").facts
    assert other.weights_digest != facts.weights_digest
    assert other.tokenizer_digest == facts.tokenizer_digest

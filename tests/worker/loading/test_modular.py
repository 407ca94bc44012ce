"""sentence-transformers' modular cross-encoders: modules.json with Transformer, Pooling, Dense, LayerNorm."""

import importlib
import importlib.util
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rankmill.db.records.scorers import LongDocuments, Precision, ScorerSpec
from rankmill.db.scorers.model_files import files_digest
from rankmill.worker.errors import (
    ArchitectureUnsupported,
    BrokenWeights,
    EmbeddingModel,
    ModelError,
    ModulesUnsupported,
    PickleWeightsOnly,
    RemoteCodeRefused,
)
from rankmill.worker.loading.load import load_scorer
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from tests.support.inputs.layouts import change_json
from tests.support.inputs.modular_models import (
    ETTIN,
    GELU,
    NEW_TYPES,
    OLD_TYPES,
    SCORES,
    WIDTH,
    make_modular,
    modular_logits,
)
from tests.support.inputs.pair_texts import all_pairs, score_pairs
from tests.support.inputs.texts import DOCUMENTS, LONG, QUERIES, STRANGE

PAIRS = all_pairs(QUERIES[::3], [*DOCUMENTS[::3], *STRANGE[::4], LONG[:900]])
TOLERANCE = 1e-4
OLD_POOLING = {
    "word_embedding_dimension": WIDTH,
    "pooling_mode_cls_token": False,
    "pooling_mode_max_tokens": True,
    "pooling_mode_mean_tokens": True,
}
JOINED = {"in_features": 2 * WIDTH, "out_features": WIDTH, "bias": True}
KEPT = SCORES | {"out_features": WIDTH, "module_output_name": "sentence_embedding"}


def pooled(*modes: str) -> tuple[str, dict[str, Any]]:
    return "Pooling", {"embedding_dimension": WIDTH, "pooling_mode": list(modes), "include_prompt": True}


# Every kind of pooling and module, over transformers that go without padding and over one that does not.
STACKS: Mapping[str, tuple[str, Sequence[tuple[str, dict[str, Any]]], Mapping[str, str]]] = {
    "ettin": ("modernbert", ETTIN, NEW_TYPES),
    "as before version 5.4": (
        "bert",
        [("Pooling", OLD_POOLING), ("Dense", JOINED), ("LayerNorm", {"dimension": WIDTH}), ("Dense", SCORES)],
        OLD_TYPES,
    ),
    "first tokens": ("xlm-roberta", [pooled("cls"), ("Dense", SCORES | {"bias": False})], NEW_TYPES),
    "means": (
        "roberta",
        [pooled("mean"), ("Dense", KEPT | {"use_residual": True}), ("Dense", SCORES)],
        NEW_TYPES,
    ),
    "all kinds of pooling": (
        "electra",
        [
            pooled("weightedmean", "lasttoken", "mean_sqrt_len_tokens", "max"),
            ("Dense", KEPT | {"in_features": 4 * WIDTH, "use_residual": True, "activation_function": GELU}),
            ("Normalize", {}),
            ("Dropout", {"dropout": 0.9}),
            ("Dense", SCORES),
        ],
        NEW_TYPES,
    ),
    "padded": (
        "mpnet",
        [pooled("weightedmean"), ("LayerNorm", {"dimension": WIDTH}), ("Dense", SCORES)],
        NEW_TYPES,
    ),
    "padded means": ("deberta", [pooled("cls", "mean"), ("Dense", SCORES | {"in_features": 64})], NEW_TYPES),
}


def load(directory: Path, precision: Precision = Precision.FP32, **settings: Any) -> Any:
    return load_scorer(ScorerSpec(model=str(directory), precision=precision, **settings), device="cpu")


def logits(scorer: Any) -> list[float]:
    return [score.logit for score in score_pairs(scorer, PAIRS)]


@pytest.mark.parametrize("name", STACKS)
def test_scores_equal_sentence_transformers_own(tmp_path: Path, name: str) -> None:
    family, stack, types = STACKS[name]
    directory = make_modular(tmp_path / "model", family, stack, types)
    scorer = load(directory, long_documents=LongDocuments.TRUNCATE)
    assert type(scorer.forward.encoder) is (PaddedEncoder if "padded" in name else PackedEncoder)
    expected = modular_logits(directory, PAIRS)
    assert np.std(expected) > 0.1, "the model must tell pairs apart for this to mean anything"
    np.testing.assert_allclose(logits(scorer), expected, rtol=0, atol=TOLERANCE)
    if importlib.util.find_spec("sentence_transformers") is not None:
        library: Any = importlib.import_module("sentence_transformers")
        model = library.CrossEncoder(str(directory), device="cpu", model_kwargs={"dtype": torch.float32})
        given = model.predict(PAIRS, activation_fn=torch.nn.Identity())
        np.testing.assert_allclose(given, expected, rtol=0, atol=TOLERANCE)


def test_a_prompt_stands_before_every_query(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"prompts": {"rerank": "Given a question: "}, "default_prompt_name": "rerank"}
    directory = make_modular(tmp_path / "model", **settings)
    expected = modular_logits(directory, PAIRS, prompt="Given a question: ")
    np.testing.assert_allclose(logits(load(directory)), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.INT8])
def test_low_precision_stays_near(tmp_path: Path, precision: Precision) -> None:
    directory = make_modular(tmp_path / "model", "bert", STACKS["first tokens"][1])
    expected = modular_logits(directory, PAIRS)
    found = logits(load(directory, precision))
    assert np.abs(np.subtract(found, expected)).max() < 0.5 * max(1.0, np.abs(expected).max())
    assert np.corrcoef(found, expected)[0, 1] > 0.95


def test_digests_cover_the_modules_and_what_stands_before_a_query(tmp_path: Path) -> None:
    directory = make_modular(tmp_path / "model")
    facts, digest = load(directory).facts, files_digest(directory)
    for path, settings in (
        ("config_sentence_transformers.json", {"prompts": {"q": "?"}, "default_prompt_name": "q"}),
        (DENSE, _activation("torch.nn.modules.activation.ReLU")),
        ("1_Pooling/config.json", {"pooling_mode": "mean"}),
    ):
        other = Path(shutil.copytree(directory, tmp_path / path.replace("/", "-")))
        change_json(other / path, **settings)
        assert files_digest(other) != digest
        assert load(other).facts.weights_digest != facts.weights_digest
        assert load(other).facts.tokenizer_digest == facts.tokenizer_digest
    weights = load_file(directory / "4_Dense" / "model.safetensors")
    save_file(
        {name: tensor + 1 for name, tensor in weights.items()}, directory / "4_Dense" / "model.safetensors"
    )
    assert files_digest(directory) != digest
    assert load(directory).facts.weights_digest != facts.weights_digest


def test_an_embedding_model_of_sentence_transformers_is_called_that(tmp_path: Path) -> None:
    directory = make_modular(tmp_path / "model", stack=[pooled("mean")], model_type="SentenceTransformer")
    with pytest.raises(EmbeddingModel, match="an embedding model of sentence-transformers"):
        load(directory)


LOGIT_SCORE = "sentence_transformers.cross_encoder.modules.logit_score.LogitScore"
DENSE, POOLING, TRANSFORMER = "2_Dense/config.json", "1_Pooling/config.json", "sentence_bert_config.json"
WHOLE = "config_sentence_transformers.json"


def _path(name: str) -> dict[str, Any]:
    return {"path": name}


def _activation(name: str) -> dict[str, Any]:
    return {"activation_function": name}


@pytest.mark.parametrize(
    ("number", "change", "error", "says"),
    [
        (2, {"type": "custom_head.Head"}, RemoteCodeRefused, "custom_head.Head"),
        (2, {"type": "sentence_transformers.models.LSTM"}, ModulesUnsupported, "a module LSTM"),
        (1, {"type": LOGIT_SCORE}, ModulesUnsupported, "decoder's next token"),
        (2, _path("../elsewhere"), ModulesUnsupported, "no folder of the model's"),
        (2, _path("/etc"), ModulesUnsupported, "no folder of the model's"),
        (2, _path("9_Dense"), ModulesUnsupported, r"9_Dense has no model\.safetensors"),
        (0, _path("0_Transformer"), ModulesUnsupported, "its first module"),
    ],
)  # fmt: skip
def test_modules_that_cannot_be_put_together_are_refused(
    tmp_path: Path, number: int, change: Mapping[str, Any], error: type[ModelError], says: str
) -> None:
    directory = make_modular(tmp_path / "model")
    modules = json.loads((directory / "modules.json").read_text())
    modules[number] |= change
    (directory / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(error, match=says):
        load(directory)


@pytest.mark.parametrize(
    ("path", "settings", "error", "says"),
    [
        (DENSE, _activation("evil.Activation"), RemoteCodeRefused, "evil.Activation"),
        (DENSE, _activation("torch.load"), ModulesUnsupported, "activation torch.load"),
        (DENSE, _activation("torch.nn.Linear"), ModulesUnsupported, "torch.nn.Linear"),
        (DENSE, {"in_features": 64}, ModulesUnsupported, "takes 64 numbers and gets 32"),
        (DENSE, {"bias": True}, BrokenWeights, "2_Dense holds other weights"),
        (DENSE, {"module_input_name": "token_embeddings"}, ModulesUnsupported, "token_embeddings"),
        ("3_LayerNorm/config.json", {"dimension": 16}, ModulesUnsupported, "takes 16 numbers"),
        ("4_Dense/config.json", {"module_output_name": "logits"}, ModulesUnsupported, "gives no scores"),
        (POOLING, {"pooling_mode": "attention"}, ModulesUnsupported, "pools by 'attention'"),
        (WHOLE, {"default_prompt_name": "none"}, ModulesUnsupported, "default prompt"),
        (TRANSFORMER, {"transformer_task": "fill-mask"}, ModulesUnsupported, "fill-mask"),
        (TRANSFORMER, {"config_args": {"num_labels": 2}}, ModulesUnsupported, "num_labels"),
    ],
)  # fmt: skip
def test_settings_of_modules_that_would_change_scores_are_refused(
    tmp_path: Path, path: str, settings: Mapping[str, Any], error: type[ModelError], says: str
) -> None:
    directory = make_modular(tmp_path / "model")
    change_json(directory / path, **settings)
    with pytest.raises(error, match=says):
        load(directory)


def test_several_scores_a_pair_are_refused(tmp_path: Path) -> None:
    directory = make_modular(
        tmp_path / "model", stack=[pooled("cls"), ("Dense", SCORES | {"out_features": 3})]
    )
    with pytest.raises(ModulesUnsupported, match="gives 3 scores a pair"):
        load(directory)


def test_modules_whose_files_are_not_there_are_named(tmp_path: Path) -> None:
    directory = make_modular(tmp_path / "model")
    weights = directory / "4_Dense" / "model.safetensors"
    tensors = load_file(weights)
    weights.unlink()
    with pytest.raises(ModulesUnsupported, match=r"4_Dense has no model\.safetensors.*folders that modules"):
        load(directory)
    torch.save(tensors, directory / "4_Dense" / "pytorch_model.bin")
    with pytest.raises(PickleWeightsOnly, match=r"4_Dense/pytorch_model\.bin"):
        load(directory)
    (directory / "1_Pooling" / "config.json").unlink()
    with pytest.raises(ModulesUnsupported, match=r"1_Pooling has no config\.json"):
        load(directory)


def test_a_transformer_without_a_head_needs_its_modules(tmp_path: Path) -> None:
    directory = make_modular(tmp_path / "model", "bert")
    (directory / "modules.json").unlink()
    with pytest.raises(ArchitectureUnsupported, match="BertModel, not a sequence classifier"):
        load(directory)

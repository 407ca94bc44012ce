"""Modular cross-encoders as sentence-transformers writes them, small and random, and its arithmetic on them.

The arithmetic is written down here once more, over padded batches as the library runs them: transformer,
pooling, then each module of modules.json by its own settings.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from tests.support.inputs.models import make_base_model

OWN = "sentence_transformers"
# Where the classes stood up to version 5.3, and stand since.
OLD_TYPES = {name: f"{OWN}.models.{name}" for name in ("Transformer", "Pooling", "Dense", "LayerNorm")}
NEW_TYPES = {
    "Transformer": f"{OWN}.base.modules.transformer.Transformer",
    "Pooling": f"{OWN}.sentence_transformer.modules.pooling.Pooling",
    "Dense": f"{OWN}.base.modules.dense.Dense",
    "LayerNorm": f"{OWN}.sentence_transformer.modules.layer_norm.LayerNorm",
    "Normalize": f"{OWN}.base.modules.normalize.Normalize",
    "Dropout": f"{OWN}.sentence_transformer.modules.dropout.Dropout",
}
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "torch.nn.modules.activation.GELU": functional.gelu,
    "torch.nn.modules.activation.Tanh": torch.tanh,
    "torch.nn.modules.activation.ReLU": torch.relu,
    "torch.nn.modules.linear.Identity": lambda rows: rows,
}
GELU, IDENTITY = "torch.nn.modules.activation.GELU", "torch.nn.modules.linear.Identity"
WIDTH = 32
Settings = dict[str, Any]
SCORES: Settings = {
    "in_features": WIDTH,
    "out_features": 1,
    "bias": True,
    "activation_function": IDENTITY,
    "module_input_name": "sentence_embedding",
    "module_output_name": "scores",
}
# The stack of the ettin rerankers.
ETTIN: Sequence[tuple[str, Settings]] = (
    ("Pooling", {"embedding_dimension": WIDTH, "pooling_mode": "cls", "include_prompt": True}),
    (
        "Dense",
        SCORES
        | {
            "out_features": WIDTH,
            "bias": False,
            "activation_function": GELU,
            "module_output_name": "sentence_embedding",
        },
    ),
    ("LayerNorm", {"dimension": WIDTH}),
    ("Dense", SCORES),
)


def make_modular(
    directory: Path,
    family: str = "modernbert",
    stack: Sequence[tuple[str, Settings]] = ETTIN,
    types: Mapping[str, str] = NEW_TYPES,
    **settings: Any,
) -> Path:
    """Write a transformer of `family` and the modules of `stack`; `settings` go beside the model's type."""
    make_base_model(family, directory)
    torch.manual_seed(7)
    modules = [{"idx": 0, "name": "0", "path": "", "type": types["Transformer"]}]
    for number, (kind, module_settings) in enumerate(stack, start=1):
        folder = directory / f"{number}_{kind}"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(module_settings))
        if weights := _weights(kind, module_settings):
            save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        modules.append({"idx": number, "name": str(number), "path": folder.name, "type": types[kind]})
    (directory / "modules.json").write_text(json.dumps(modules))
    named: dict[str, Any] = {
        "model_type": "CrossEncoder",
        "activation_fn": IDENTITY,
        "prompts": {},
        "default_prompt_name": None,
    }
    (directory / "config_sentence_transformers.json").write_text(json.dumps(named | settings))
    way = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
    transformer = {
        "transformer_task": "feature-extraction",
        "modality_config": way,
        "module_output_name": "token_embeddings",
    }
    (directory / "sentence_bert_config.json").write_text(json.dumps(transformer))
    return directory


def _weights(kind: str, settings: Settings) -> dict[str, Tensor]:
    if kind == "LayerNorm":
        width = settings["dimension"]
        return {"norm.weight": 1 + torch.randn(width) * 0.1, "norm.bias": torch.randn(width) * 0.1}
    if kind != "Dense":
        return {}
    num_in, num_out = settings["in_features"], settings["out_features"]
    weights = {"linear.weight": torch.randn(num_out, num_in) * 0.5}
    if settings.get("bias", True):
        weights["linear.bias"] = torch.randn(num_out) * 0.1
    if settings.get("use_residual") and num_in != num_out:
        weights["residual.weight"] = torch.randn(num_out, num_in) * 0.5
    return weights


@torch.inference_mode()
def modular_logits(directory: Path, pairs: Sequence[tuple[str, str]], prompt: str = "") -> list[float]:
    """What sentence-transformers gives before its activation, in fp32."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(directory)
    base: Any = transformers.AutoModel.from_pretrained(directory, dtype=torch.float32).eval()
    modules = json.loads((directory / "modules.json").read_text())
    logits: list[float] = []
    for start in range(0, len(pairs), 16):
        queries, documents = zip(*pairs[start : start + 16], strict=True)
        encoded = tokenizer(
            [prompt + query for query in queries], list(documents), padding=True, return_tensors="pt"
        )
        features = {"token_embeddings": base(**encoded).last_hidden_state}
        for module in modules[1:]:
            _apply(directory / module["path"], module["type"].rpartition(".")[2], features, encoded)
        logits.extend(features["scores"].reshape(-1).tolist())
    return logits


def _apply(folder: Path, kind: str, features: dict[str, Tensor], encoded: Mapping[str, Tensor]) -> None:
    settings = json.loads((folder / "config.json").read_text())
    path = folder / "model.safetensors"
    weights = load_file(path) if path.is_file() else {}
    source = settings.get("module_input_name", "sentence_embedding")
    target = settings.get("module_output_name") or source
    match kind:
        case "Pooling":
            modes = settings.get("pooling_mode") or [
                name.removeprefix("pooling_mode_").removesuffix("_tokens").replace("cls_token", "cls")
                for name in settings
                if name.startswith("pooling_mode_") and settings[name]
            ]
            parts = [
                _pooled(mode, features["token_embeddings"], encoded["attention_mask"])
                for mode in ([modes] if isinstance(modes, str) else modes)
            ]
            features["sentence_embedding"] = torch.cat(parts, dim=-1)
        case "Dense":
            rows = features[source]
            activate = ACTIVATIONS[settings.get("activation_function", "torch.nn.modules.activation.Tanh")]
            output = activate(functional.linear(rows, weights["linear.weight"], weights.get("linear.bias")))
            if settings.get("use_residual"):
                residual = weights.get("residual.weight")
                output = output + (rows if residual is None else functional.linear(rows, residual))
            features[target] = output
        case "LayerNorm":
            rows = features["sentence_embedding"]
            features["sentence_embedding"] = functional.layer_norm(
                rows, rows.shape[-1:], weights["norm.weight"], weights["norm.bias"]
            )
        case "Normalize":
            features[target] = functional.normalize(features[source], dim=-1)


def _pooled(mode: str, hidden: Tensor, attention_mask: Tensor) -> Tensor:
    mask = attention_mask.unsqueeze(-1)
    last = attention_mask.sum(1) - 1
    places = torch.arange(1, hidden.shape[1] + 1).view(1, -1, 1) * mask
    match mode:
        case "cls":
            return hidden[:, 0]
        case "max":
            return hidden.masked_fill(mask == 0, float("-inf")).amax(1)
        case "mean":
            return (hidden * mask).sum(1) / mask.sum(1)
        case "mean_sqrt_len_tokens" | "mean_sqrt_len":
            return (hidden * mask).sum(1) / mask.sum(1).sqrt()
        case "weightedmean":
            return (hidden * places).sum(1) / places.sum(1)
        case "lasttoken":
            return hidden[torch.arange(len(hidden)), last]
    raise AssertionError(mode)

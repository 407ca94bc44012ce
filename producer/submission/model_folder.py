"""A model's folder as it looks from outside: refused before a job is recorded where it cannot work.

Knows names of files and config.json; loads nothing and knows no tensors. The worker checks the rest.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankmill.db.scorers.folder_facts import (
    VOCABULARY_FILES,
    has_vocabulary,
    missing_shards,
    module_folders,
)
from rankmill.producer.errors import MissingPrerequisite

_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def check_model_folder(model: str, directory: Path) -> None:
    """Raises MissingPrerequisite, with the remedy, for a folder that holds no reranker that can be read."""
    if (directory / "adapter_config.json").is_file():
        raise MissingPrerequisite(
            f"The model directory {directory} holds an adapter (adapter_config.json), such as LoRA's, not a "
            "whole model. Merge it once: load it with peft, then merge_and_unload() and save_pretrained(DIR)."
        )
    _check_config_is_there(directory)
    _check_weights(directory)
    config = _read_config(model, directory / "config.json")
    _check_config(model, config, has_modules=bool(module_folders(directory)))
    if not has_vocabulary(directory):
        raise MissingPrerequisite(
            f"The model directory {directory} has no tokenizer files ({VOCABULARY_FILES}). Put those of the "
            "model it was trained from there: AutoTokenizer.from_pretrained(MODEL).save_pretrained(DIR)."
        )


def _check_config_is_there(directory: Path) -> None:
    if (directory / "config.json").is_file():
        return
    checkpoints = sorted(path.parent.name for path in directory.glob("checkpoint-*/config.json"))
    if checkpoints:
        raise MissingPrerequisite(
            f"The model directory {directory} is a trainer's folder. "
            f"Point --model at one of the models in it: {', '.join(checkpoints)}."
        )
    raise MissingPrerequisite(
        f"The model directory {directory} has no config.json, so it is not a transformers model. "
        "Point --model at the folder that save_pretrained wrote."
    )


def _check_weights(directory: Path) -> None:
    if not any(directory.glob("*.safetensors")):
        if any(found for pattern in _PICKLED for found in directory.glob(pattern)):
            raise MissingPrerequisite(
                f"The weights in {directory} are in pickle form only, which can run any code when loaded. "
                "Convert them once where you trust them: "
                "AutoModelForSequenceClassification.from_pretrained(DIR).save_pretrained(DIR)."
            )
        raise MissingPrerequisite(
            f"The model directory {directory} has no *.safetensors weights. Download the model again."
        )
    if missing := missing_shards(directory):
        raise MissingPrerequisite(
            f"The weights in {directory} lack {', '.join(missing)}, which model.safetensors.index.json "
            "names. Download the model again."
        )


def _check_config(model: str, config: Mapping[str, Any], *, has_modules: bool) -> None:
    if config.get("auto_map"):
        raise MissingPrerequisite(
            f"The model {model} needs Python code from its own folder (auto_map), which is never run. "
            "Choose a reranker that transformers knows, such as BAAI/bge-reranker-v2-m3."
        )
    if config.get("quantization_config"):
        raise MissingPrerequisite(
            f"The weights of the model {model} are quantised (quantization_config), which is not supported. "
            "Name the model they were made from, with --precision int8 for 8-bit integers on a CPU."
        )
    num_labels = _num_labels(config)
    if num_labels not in (None, 1) and not has_modules:
        raise MissingPrerequisite(
            f"The model {model} gives {num_labels} numbers per pair; a reranker gives one (num_labels = 1). "
            "Choose a cross-encoder trained for reranking, such as BAAI/bge-reranker-v2-m3."
        )


def _read_config(model: str, path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as cause:
        raise MissingPrerequisite(
            f"The config.json of {model} cannot be read: {cause}. Download the model again."
        ) from cause
    if not isinstance(config, dict):
        raise MissingPrerequisite(f"The config.json of {model} holds no object. Download the model again.")
    return config


def _num_labels(config: Mapping[str, Any]) -> int | None:
    """How many numbers the model gives, as far as its configuration says."""
    labels = config.get("id2label")
    named = config.get("num_labels")
    return named if isinstance(named, int) else len(labels) if isinstance(labels, dict) else None

"""The scorer that settings name, with the checks of its model that need no loading.

Knows of a model directory its config.json and the names of its weight files; knows no tensors.
"""

import json
import re
from pathlib import Path

from rankmill.db.records.scorers import LongDocuments, ScorerSpec
from rankmill.db.runtime.settings import Settings
from rankmill.db.scorers.identity import spec_from_settings
from rankmill.db.scorers.model_files import DEMO_MODEL, NULL_MODEL, model_directory
from rankmill.producer.errors import MissingPrerequisite, UsageError

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def scorer_spec(settings: Settings) -> ScorerSpec:
    """The scorer that `settings` name. A directory becomes absolute and has the digest of its files.

    Raises UsageError for lengths that contradict each other, MissingPrerequisite for a model directory that
    is missing or cannot work.
    """
    _check_lengths(settings)
    model, directory = settings.model, model_directory(settings.model)
    if directory is not None:
        if settings.revision is not None:
            raise UsageError(
                f"--revision is for models of the hub, and {model} is a directory here: leave it out."
            )
        _check_directory(model, directory)
    elif model != NULL_MODEL:
        _check_hub_id(model)
    return spec_from_settings(settings)


def _check_lengths(settings: Settings) -> None:
    window, stride, longest = settings.window, settings.stride, settings.max_length
    if stride is not None and window is None:
        raise UsageError("--stride needs --window: it is at most the window's length.")
    if stride is not None and window is not None and stride > window:
        raise UsageError(
            f"--stride {stride} is longer than --window {window}: text between windows would not be read."
        )
    if window is not None and longest is not None and window >= longest:
        raise UsageError(f"--window {window} leaves no room for a query in --max-length {longest}.")
    if window is not None and settings.long_documents is not LongDocuments.WINDOWS:
        raise UsageError(f"--window needs --long-documents windows, not {settings.long_documents}.")


def _check_hub_id(model: str) -> None:
    if model == DEMO_MODEL:
        raise MissingPrerequisite(
            "This installation has no demo model. Install the released package: pip install rankmill."
        )
    if model.startswith((".", "~", "/")) or not _HUB_ID.fullmatch(model):
        raise MissingPrerequisite(
            f"There is no model directory {model}. Give --model a directory with config.json and "
            "safetensors weights, a Hugging Face id such as BAAI/bge-reranker-v2-m3, or demo."
        )


def _check_directory(model: str, directory: Path) -> None:
    config = directory / "config.json"
    if not config.is_file():
        raise MissingPrerequisite(
            f"The model directory {directory} has no config.json, so it is not a transformers model. "
            "Point --model at the folder that save_pretrained wrote."
        )
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
    num_labels = _num_labels(model, config)
    if num_labels not in (None, 1):
        raise MissingPrerequisite(
            f"The model {model} gives {num_labels} numbers per pair; a reranker gives one (num_labels = 1). "
            "Choose a cross-encoder trained for reranking, such as BAAI/bge-reranker-v2-m3."
        )


def _num_labels(model: str, config: Path) -> int | None:
    """How many numbers the model gives for a pair; None when its configuration does not say."""
    try:
        facts = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as cause:
        raise MissingPrerequisite(
            f"The config.json of {model} cannot be read: {cause}. Download the model again."
        ) from cause
    if not isinstance(facts, dict):
        raise MissingPrerequisite(f"The config.json of {model} holds no object. Download the model again.")
    labels = facts.get("id2label")
    named = facts.get("num_labels")
    return len(labels) if isinstance(labels, dict) else named if isinstance(named, int) else None

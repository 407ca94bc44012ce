"""A model's files: found, checked and digested before any of them is loaded.

Refuses what must not or cannot be used here: pickles, code, decoders, models with several labels, files that
differ from the job's. Knows files and JSON; knows no tensor.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.scorers.file_digests import content_digest
from rankmill.db.scorers.model_files import files_digest, model_directory
from rankmill.worker.errors import (
    ArchitectureUnsupported,
    BrokenWeights,
    DecoderUnsupported,
    FilesMismatch,
    ModelNotFound,
    NotACrossEncoder,
    NotAModel,
    PickleWeightsOnly,
    RemoteCodeRefused,
)

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLE_PATTERNS = ("pytorch_model*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "spm.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
WANTED = (CONFIG, WEIGHTS, WEIGHTS_INDEX, "model-*.safetensors", *TOKENIZER_FILES)
MAX_JSON_BYTES = 2**24  # of a config or an index of weights; the largest known have a few hundred kilobytes
CLASSIFIER = "ForSequenceClassification"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's checked files in one directory. `model` is the name that the job gave."""

    model: str
    directory: Path
    config: Mapping[str, Any]
    weights: tuple[Path, ...]

    def weights_digest(self) -> str:
        """SHA-256 over the names and contents of the weight files and of the config.

        The config decides scores as much as the weights: the activation function, the pooling, the range of
        local attention.
        """
        return _digest([self.directory / CONFIG, *self.weights])

    def tokenizer_digest(self) -> str:
        """SHA-256 over the names and contents of the tokenizer's files."""
        paths = (self.directory / name for name in TOKENIZER_FILES)
        return _digest(path for path in paths if path.is_file())


def find_checkpoint(spec: ScorerSpec) -> Checkpoint:
    """The files of a scorer's model, fetched from the hub if they are not here yet.

    Raises a ModelError for whatever is wrong with them.
    """
    directory = model_directory(spec.model)
    if directory is None:
        directory = _fetch(spec.model, spec.revision)
    if not (directory / CONFIG).is_file():
        raise NotAModel(spec.model, CONFIG)
    if spec.files_digest is not None and (found := files_digest(directory)) != spec.files_digest:
        raise FilesMismatch(spec.model, spec.files_digest, found)
    config = _read_json(spec.model, directory / CONFIG)
    _check_config(spec.model, config)
    tokenizer_config = directory / "tokenizer_config.json"
    if tokenizer_config.is_file() and _read_json(spec.model, tokenizer_config).get("auto_map"):
        raise RemoteCodeRefused(spec.model)
    return Checkpoint(spec.model, directory, config, _find_weights(spec.model, directory))


def _fetch(model: str, revision: str | None) -> Path:
    """The directory of a hub model's files. HF_HUB_OFFLINE and the hub's cache work as usual."""
    if model.startswith((".", "/", "~")):
        raise ModelNotFound(model, revision, "there is no such directory")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        found = snapshot_download(
            model, revision=revision, allow_patterns=list(WANTED), ignore_patterns=["*/*"]
        )
    except (OSError, HFValidationError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ModelNotFound(model, revision, reason) from error
    return Path(found)


def _check_config(model: str, config: Mapping[str, Any]) -> None:
    if config.get("auto_map"):
        raise RemoteCodeRefused(model)
    architectures = config.get("architectures") or []
    architecture = str(architectures[0]) if architectures else ""
    if _is_decoder(str(config.get("model_type", "")), architecture) or config.get("is_encoder_decoder"):
        raise DecoderUnsupported(model, architecture or str(config.get("model_type")))
    if architecture and not architecture.endswith(CLASSIFIER):
        raise ArchitectureUnsupported(model, architecture)
    if (num_labels := _num_labels(config)) != 1:
        raise NotACrossEncoder(model, num_labels)


def _is_decoder(model_type: str, architecture: str) -> bool:
    """Whether a model reads from left to right only: its type has no masked language model."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    if architecture.endswith(("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")):
        return True
    return (
        model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )


def _num_labels(config: Mapping[str, Any]) -> int:
    labels = config.get("id2label")
    return len(labels) if isinstance(labels, Mapping) else int(config.get("num_labels", 2))


def _find_weights(model: str, directory: Path) -> tuple[Path, ...]:
    if (directory / WEIGHTS).is_file():
        return (directory / WEIGHTS,)
    index = directory / WEIGHTS_INDEX
    if index.is_file():
        names = sorted(set(_read_json(model, index).get("weight_map", {}).values()))
        missing = [name for name in names if not (directory / name).is_file()]
        if missing or not names:
            raise BrokenWeights(
                model, f"{WEIGHTS_INDEX} names files that are not there: {', '.join(missing)}"
            )
        return tuple(directory / name for name in names)
    pickles = sorted(path.name for pattern in PICKLE_PATTERNS for path in directory.glob(pattern))
    if pickles or model_directory(model) is None:
        raise PickleWeightsOnly(model, pickles)
    raise NotAModel(model, WEIGHTS)


def _read_json(model: str, path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_JSON_BYTES:
        raise NotAModel(model, f"readable {path.name} (it is larger than {MAX_JSON_BYTES:,} bytes)")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise NotAModel(model, f"readable {path.name} ({error})") from error
    if not isinstance(content, dict):
        raise NotAModel(model, f"readable {path.name} (it holds no object)")
    return content


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name} {content_digest(path)}\n".encode())
    return digest.hexdigest()

"""A model's files: found, checked and digested before any of them is loaded.

Refuses what must not or cannot be used here: pickles, code, decoders, models with several labels, files that
differ from the job's. Knows files and JSON; knows no tensor.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.scorers.folder_facts import (
    MODULE_FILES,
    MODULE_SETTINGS,
    MODULES,
    SENTENCEPIECE_FILES,
    TOKENIZER,
    WEIGHTS,
    WEIGHTS_INDEX,
    has_vocabulary,
    module_folders,
    sentencepiece_models,
)
from rankmill.db.scorers.model_files import digest_of, files_digest, model_directory
from rankmill.worker.errors import FilesMismatch, ModelNotFound, RemoteCodeRefused, TokenizerMissing
from rankmill.worker.loading.files.adapters import ADAPTER, check_is_a_model
from rankmill.worker.loading.files.config import architecture_of, check_config
from rankmill.worker.loading.files.json_files import read_object
from rankmill.worker.loading.files.modules import Modules, read_modules
from rankmill.worker.loading.files.weight_files import find_weights

CONFIG = "config.json"
TOKENIZER_FILES = (
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "spm.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
WANTED = (
    *(CONFIG, ADAPTER, WEIGHTS, WEIGHTS_INDEX, "model-*.safetensors", MODULES),
    *MODULE_SETTINGS,
    *TOKENIZER_FILES,
    *SENTENCEPIECE_FILES,
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's checked files in one directory. `model` is the name that the job gave."""

    model: str
    directory: Path
    config: Mapping[str, Any]
    weights: tuple[Path, ...]
    modules: Modules = field(default_factory=Modules)

    def weights_digest(self) -> str:
        """SHA-256 over the names and contents of the weight files, of the config and of the modules' files.

        The config decides scores as much as the weights: the activation function, the pooling, the range of
        local attention.
        """
        return digest_of(self.directory, [self.directory / CONFIG, *self.weights, *self.modules.files])

    def tokenizer_digest(self) -> str:
        """SHA-256 over the names and contents of the tokenizer's files."""
        paths = {self.directory / name for name in TOKENIZER_FILES}
        if not (self.directory / TOKENIZER).is_file():
            paths.update(sentencepiece_models(self.directory))
        return digest_of(self.directory, (path for path in paths if path.is_file()))


def find_checkpoint(spec: ScorerSpec) -> Checkpoint:
    """The files of a scorer's model, fetched from the hub if they are not here yet.

    Raises a ModelError for whatever is wrong with them.
    """
    local = model_directory(spec.model)
    directory = _fetch(spec.model, spec.revision) if local is None else local
    check_is_a_model(spec.model, directory)
    if spec.files_digest is not None and (found := files_digest(directory)) != spec.files_digest:
        raise FilesMismatch(spec.model, spec.files_digest, found)
    config = read_object(spec.model, directory / CONFIG)
    modules = read_modules(spec.model, directory, architecture_of(config))
    check_config(spec.model, config, has_head_modules=modules.head is not None)
    tokenizer_config = directory / "tokenizer_config.json"
    if tokenizer_config.is_file() and read_object(spec.model, tokenizer_config).get("auto_map"):
        raise RemoteCodeRefused(spec.model)
    weights = find_weights(spec.model, directory, is_fetched=local is None)
    if not has_vocabulary(directory):
        raise TokenizerMissing(spec.model)
    return Checkpoint(spec.model, directory, config, weights, modules)


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
        folders = module_folders(Path(found))
        if folders:
            wanted = [f"{folder}/{name}" for folder in folders for name in MODULE_FILES]
            commit = Path(found).name
            found = snapshot_download(model, revision=commit, allow_patterns=wanted)
    except (OSError, HFValidationError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ModelNotFound(model, revision, reason) from error
    return Path(found)

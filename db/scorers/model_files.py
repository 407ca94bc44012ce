"""A model's files, for both sides: where they are, and their digest. Loads nothing; knows no torch."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from rankmill.db.scorers.file_digests import content_digest

DEMO_MODEL = "demo"
NULL_MODEL = "null"
SCORING_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "spm.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.safetensors",
    "*.safetensors.index.json",
)


def model_directory(model: str) -> Path | None:
    """The absolute directory of a model that is local files; None for hub ids and `null`.

    `demo` is the model packaged with the worker; the worker is not imported to find it.
    """
    if model == NULL_MODEL:
        return None
    if model == DEMO_MODEL:
        package = find_spec("rankmill.worker")
        if package is None or not package.submodule_search_locations:
            return None
        directory = Path(package.submodule_search_locations[0]) / "models" / "demo"
        return directory if directory.is_dir() else None
    directory = Path(model).expanduser()
    return directory.resolve() if directory.is_dir() else None


def is_local(model: str) -> bool:
    """Whether a model is local files and not a name on the hub."""
    return model_directory(model) is not None


def files_digest(directory: Path) -> str:
    """SHA-256 over names and contents of every file that decides a score: config, tokenizer, weights."""
    paths = sorted({path for pattern in SCORING_FILES for path in directory.glob(pattern) if path.is_file()})
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name} {content_digest(path)}\n".encode())
    return digest.hexdigest()

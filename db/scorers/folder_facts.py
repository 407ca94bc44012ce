"""What a model's folder holds, as both sides see it: vocabularies, parts of weights, modules.

Reads names and small JSON; loads nothing. What cannot be read counts as not there: the worker says why.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOKENIZER = "tokenizer.json"
VOCABULARY_FILES = "tokenizer.json, vocab.txt, vocab.json with merges.txt, or a sentencepiece model"
SENTENCEPIECE_FILES = ("sentencepiece.bpe.model", "spm.model", "spiece.model", "tokenizer.model")
WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
MODULES = "modules.json"
# Which prompt stands before a query, and how the transformer is read.
MODULE_SETTINGS = ("config_sentence_transformers.json", "sentence_bert_config.json")
MODULE_FILES = ("config.json", "*.safetensors")
MAX_JSON_BYTES = 2**24  # of a config or an index of weights; the largest known have a few hundred kilobytes


def has_vocabulary(directory: Path) -> bool:
    """Whether there is anything that a tokenizer can be made of. Without, transformers makes an empty one."""
    kinds = ((TOKENIZER,), ("vocab.txt",), ("vocab.json", "merges.txt"))
    is_there = any(all((directory / name).is_file() for name in kind) for kind in kinds)
    return is_there or bool(sentencepiece_models(directory))


def sentencepiece_models(directory: Path) -> list[Path]:
    """The sentencepiece models in a folder; where it has a tokenizer.json as well, nobody reads them."""
    return [directory / name for name in SENTENCEPIECE_FILES if (directory / name).is_file()]


def missing_shards(directory: Path) -> list[str]:
    """The parts of weights that the index names and that are not there."""
    index = read_json(directory / WEIGHTS_INDEX)
    named = index.get("weight_map") if isinstance(index, dict) else None
    names = {str(name) for name in named.values()} if isinstance(named, dict) else set()
    if (directory / WEIGHTS).is_file():
        return []
    return sorted(name for name in names if not (directory / name).is_file())


def module_folders(directory: Path) -> list[str]:
    """The folders of sentence-transformers' modules behind the first, in the order they compute."""
    modules = read_json(directory / MODULES)
    if not isinstance(modules, list):
        return []
    paths = [str(module.get("path", "")) for module in modules if isinstance(module, dict)]
    return [path for path in paths if is_plain_name(path)]


def module_files(directory: Path) -> Iterator[Path]:
    """The files of modules that decide a score; none where there is no modules.json."""
    if not (directory / MODULES).is_file():
        return
    yield directory / MODULES
    yield from (directory / name for name in MODULE_SETTINGS if (directory / name).is_file())
    for folder in module_folders(directory):
        for pattern in MODULE_FILES:
            yield from sorted((directory / folder).glob(pattern))


def is_plain_name(path: str) -> bool:
    """Whether a path names a folder right below, and leads nowhere else."""
    return path not in ("", ".", "..") and not set(path) & set("/\\\0")


def read_json(path: Path) -> Any:
    """The JSON in a file; None when there is none that can be read."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            return None
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None

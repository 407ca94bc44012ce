"""The files that hold a model's weights: which they are, and what their headers say.

A header names every tensor with its type and place; reading it costs nothing and tells most faults.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rankmill.db.scorers.folder_facts import (
    MAX_JSON_BYTES,
    WEIGHTS,
    WEIGHTS_INDEX,
    missing_shards,
)
from rankmill.worker.errors import BrokenWeights, NotAModel, PickleWeightsOnly, Quantized
from rankmill.worker.loading.files.json_files import read_object

PICKLE_PATTERNS = ("pytorch_model*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
# Whole numbers and 8-bit floats are weights only together with scales that the stock classes do not know.
FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
WHOLE = frozenset({"I64", "I32", "I16", "BOOL"})
# What trainers leave beside the weights; not why a folder is no model.
NO_WEIGHTS = ("training_args.bin", "optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth")


def find_weights(model: str, directory: Path, *, is_fetched: bool) -> tuple[Path, ...]:
    """The safetensors files of the weights, with headers that fit them. Raises ModelErrors."""
    if (directory / WEIGHTS).is_file():
        files: tuple[Path, ...] = (directory / WEIGHTS,)
        check_headers(model, files)
    elif (directory / WEIGHTS_INDEX).is_file():
        files = _find_shards(model, directory)
    else:
        raise _no_weights(model, directory, is_fetched=is_fetched)
    return files


def check_headers(model: str, files: Iterable[Path]) -> set[str]:
    """The names of the tensors in files. Raises BrokenWeights, and Quantized for what is no float."""
    names: set[str] = set()
    for path in files:
        for name, tensor in _header(model, path).items():
            kind = str(tensor.get("dtype"))
            if kind not in FLOATS and kind not in WHOLE:
                raise Quantized(model, f"{name} is of type {kind}")
            names.add(name)
    return names


def _find_shards(model: str, directory: Path) -> tuple[Path, ...]:
    named = read_object(model, directory / WEIGHTS_INDEX).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise BrokenWeights(model, f"{WEIGHTS_INDEX} names no files")
    if missing := missing_shards(directory):
        raise BrokenWeights(model, f"{WEIGHTS_INDEX} names files that are not there: {', '.join(missing)}")
    files = tuple(directory / name for name in sorted(set(map(str, named.values()))))
    if lost := sorted(set(named) - check_headers(model, files)):
        raise BrokenWeights(model, f"no file holds {some(lost)}, which {WEIGHTS_INDEX} names")
    return files


def _no_weights(model: str, directory: Path, *, is_fetched: bool) -> NotAModel | PickleWeightsOnly:
    found = {path for pattern in PICKLE_PATTERNS for path in directory.glob(pattern)}
    found -= {path for pattern in NO_WEIGHTS for path in directory.glob(pattern)}
    if found or is_fetched:
        return PickleWeightsOnly(model, sorted(path.name for path in found))
    if parts := sorted(path.name for path in directory.glob("model-*.safetensors")):
        return NotAModel(model, f"{WEIGHTS_INDEX}, which says what the parts ({parts[0]} …) hold")
    return NotAModel(model, WEIGHTS)


def _header(model: str, path: Path) -> Mapping[str, Mapping[str, Any]]:
    """What stands at the beginning of a safetensors file, by tensor."""
    num_bytes = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(num_bytes - 8, 4 * MAX_JSON_BYTES):
            raise BrokenWeights(model, f"{path.name} is no whole safetensors file ({num_bytes:,} bytes)")
        content = file.read(length)
    try:
        header = json.loads(content)
        header.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in header.values()), default=0)
    except (ValueError, AttributeError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise BrokenWeights(model, f"the header of {path.name} cannot be read") from error
    if 8 + length + end != num_bytes:
        raise BrokenWeights(
            model, f"{path.name} has {num_bytes:,} bytes and should have {8 + length + end:,}"
        )
    return dict(header)


def some(names: Iterable[str], most: int = 3) -> str:
    """A few of many names."""
    listed = sorted(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")

"""What sentence-transformers wrote beside a transformer: the modules that make a score of its hidden states,
and the prompt before a query.

Reads modules.json and the settings in the folders it names. Anything that would change a score and is not
known here is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankmill.db.scorers.folder_facts import MODULE_SETTINGS, MODULES, WEIGHTS, is_plain_name, module_files
from rankmill.worker.errors import EmbeddingModel, ModulesUnsupported, PickleWeightsOnly, RemoteCodeRefused
from rankmill.worker.loading.files.config import CLASSIFIER
from rankmill.worker.loading.files.json_files import read_any, read_object
from rankmill.worker.loading.files.transformer_settings import (
    PLAIN_SETTINGS,
    TransformerSettings,
    read_transformer_settings,
)

OWN = "sentence_transformers."
WITHOUT_WEIGHTS = frozenset({"Normalize", "Dropout"})
POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
# As sentence-transformers wrote them up to version 5.3, in the order in which it joins them.
OLD_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


@dataclass(frozen=True, slots=True)
class Step:
    """A module behind the pooling: its kind, its settings, and its folder's weights where it has any."""

    kind: str
    name: str
    settings: Mapping[str, Any]
    weights: Path | None


@dataclass(frozen=True, slots=True)
class HeadModules:
    """How hidden states become one score: pooled in these modes, side by side, then step by step."""

    pooling: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Modules:
    """`head` is None where the transformer gives the score itself. `files` decide scores, all of them."""

    head: HeadModules | None = None
    prompt: str = ""
    transformer: TransformerSettings = PLAIN_SETTINGS
    files: tuple[Path, ...] = ()


def read_modules(model: str, directory: Path, architecture: str) -> Modules:
    """What modules.json asks for; nothing where there is none. Raises ModelErrors."""
    if not (directory / MODULES).is_file():
        return Modules()
    stack = _stack(model, directory)
    settings = _settings(model, directory)
    if not _is_cross_encoder(model, directory, stack, settings):
        if architecture.endswith(CLASSIFIER):
            return Modules()  # CrossEncoder does not read the modules of another kind of model either
        raise EmbeddingModel(model)
    if _kind(model, stack[0]) != "Transformer" or stack[0].get("path"):
        raise ModulesUnsupported(
            model, f"its first module is {stack[0].get('type')} in {stack[0].get('path')!r}"
        )
    transformer = read_transformer_settings(model, directory, has_head=len(stack) > 1)
    prompt = _prompt(model, settings)
    head = _head(model, directory, stack[1:], has_prompt=bool(prompt)) if len(stack) > 1 else None
    is_plain = head is None and not prompt and transformer == PLAIN_SETTINGS
    return Modules(head, prompt, transformer, () if is_plain else tuple(module_files(directory)))


def _stack(model: str, directory: Path) -> Sequence[Mapping[str, Any]]:
    stack = read_any(model, directory / MODULES)
    if not isinstance(stack, list) or not stack or not all(isinstance(module, dict) for module in stack):
        raise ModulesUnsupported(model, f"{MODULES} holds no list of modules")
    for module in stack[1:]:
        path = module.get("path")
        if not isinstance(path, str) or not is_plain_name(path):
            raise ModulesUnsupported(model, f"{MODULES} names {path!r}, which is no folder of the model's")
    return stack


def _settings(model: str, directory: Path) -> Mapping[str, Any]:
    path = directory / MODULE_SETTINGS[0]
    return read_object(model, path) if path.is_file() else {}


def _is_cross_encoder(
    model: str, directory: Path, stack: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> bool:
    if settings.get("model_type") == "CrossEncoder":
        return True
    last = directory / str(stack[-1].get("path", "")) / "config.json"
    is_dense = len(stack) > 1 and str(stack[-1].get("type", "")).endswith(".Dense") and last.is_file()
    return is_dense and read_object(model, last).get("module_output_name") == "scores"


def _prompt(model: str, settings: Mapping[str, Any]) -> str:
    """What stands before every query, where none is named in a call."""
    name, prompts = settings.get("default_prompt_name"), settings.get("prompts") or {}
    if name is None:
        return ""
    if not isinstance(prompts, dict) or name not in prompts:
        raise ModulesUnsupported(model, f"its default prompt {name!r} is none of its prompts")
    return str(prompts[name] or "")


def _kind(model: str, module: Mapping[str, Any]) -> str:
    named = str(module.get("type", ""))
    if not named.startswith(OWN):
        raise RemoteCodeRefused(model, f"{MODULES} names {named}")
    return named.rpartition(".")[2]


def _head(
    model: str, directory: Path, stack: Sequence[Mapping[str, Any]], *, has_prompt: bool
) -> HeadModules:
    kinds = [_kind(model, module) for module in stack]
    if kinds[0] == "LogitScore":
        raise ModulesUnsupported(model, "it scores by a decoder's next token")
    if kinds[0] != "Pooling":
        raise ModulesUnsupported(model, f"it has {kinds[0]} where a Pooling is expected")
    for kind in kinds[1:]:
        if kind not in {"Dense", "LayerNorm", *WITHOUT_WEIGHTS}:
            raise ModulesUnsupported(model, f"it has a module {kind}")
    pooling = _pooling(model, _module_settings(model, directory / str(stack[0]["path"])), has_prompt)
    steps = [
        _step(model, directory / str(module["path"]), kind)
        for kind, module in zip(kinds[1:], stack[1:], strict=True)
    ]
    return HeadModules(pooling, tuple(steps))


def _pooling(model: str, settings: Mapping[str, Any], has_prompt: bool) -> tuple[str, ...]:
    modes = settings.get("pooling_mode")
    if modes is None:
        modes = [mode for key, mode in OLD_POOLING_KEYS.items() if settings.get(key)] or ["mean"]
    modes = tuple([modes] if isinstance(modes, str) else modes)
    if unknown := [mode for mode in modes if mode not in POOLING_MODES]:
        raise ModulesUnsupported(model, f"it pools by {unknown[0]!r}")
    if has_prompt and not settings.get("include_prompt", True):
        raise ModulesUnsupported(model, "its prompt is left out of pooling")
    return modes


def _step(model: str, folder: Path, kind: str) -> Step:
    if kind in WITHOUT_WEIGHTS:
        path = folder / "config.json"
        return Step(kind, folder.name, read_object(model, path) if path.is_file() else {}, None)
    weights = folder / WEIGHTS
    if not weights.is_file():
        if pickles := [f"{folder.name}/{path.name}" for path in folder.glob("*.bin")]:
            raise PickleWeightsOnly(model, pickles)
        raise ModulesUnsupported(model, f"its module {folder.name} has no {WEIGHTS}", is_incomplete=True)
    return Step(kind, folder.name, _module_settings(model, folder), weights)


def _module_settings(model: str, folder: Path) -> Mapping[str, Any]:
    if not (folder / "config.json").is_file():
        raise ModulesUnsupported(model, f"its module {folder.name} has no config.json", is_incomplete=True)
    return read_object(model, folder / "config.json")

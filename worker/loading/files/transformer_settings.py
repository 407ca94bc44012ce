"""sentence_bert_config.json: how sentence-transformers reads its transformer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankmill.db.scorers.folder_facts import MODULE_SETTINGS
from rankmill.worker.errors import ModulesUnsupported
from rankmill.worker.loading.files.json_files import read_object

PLAIN, WITH_HEAD = "sequence-classification", "feature-extraction"
# What a task gives, by the method that is called.
OUTPUTS = {PLAIN: ("logits", "scores"), WITH_HEAD: ("last_hidden_state", "token_embeddings")}
# These choose how texts are computed and not what comes out, or belong to other kinds of models.
WITHOUT_EFFECT = frozenset({"attn_implementation", "dtype", "torch_dtype", "device_map", "low_cpu_mem_usage"})
OF_ARGUMENTS = (
    *("model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args", "config_kwargs"),
)


@dataclass(frozen=True, slots=True)
class TransformerSettings:
    """`max_length` counts tokens and comes before what the tokenizer advises."""

    max_length: int | None = None
    is_lower_case: bool = False


PLAIN_SETTINGS = TransformerSettings()


def read_transformer_settings(model: str, directory: Path, *, has_head: bool) -> TransformerSettings:
    """What the file says, else the defaults. Raises ModulesUnsupported for what is not known."""
    path = directory / MODULE_SETTINGS[1]
    settings = read_object(model, path) if path.is_file() else {}
    task = settings.get("transformer_task", WITH_HEAD)
    if task != (WITH_HEAD if has_head else PLAIN):
        raise ModulesUnsupported(model, f"its transformer is used for {task}")
    _check_output(model, settings, str(task))
    max_length = settings.get("max_seq_length")
    for name in OF_ARGUMENTS:
        arguments = _object(model, settings, name)
        max_length = arguments.get("model_max_length", max_length)
        if unknown := set(arguments) - WITHOUT_EFFECT - {"model_max_length", "trust_remote_code"}:
            raise ModulesUnsupported(model, f"{path.name} sets {min(unknown)}")
    max_length = _text_processing(model, settings).get("max_length", max_length)
    if max_length is not None and not (isinstance(max_length, int) and max_length > 0):
        raise ModulesUnsupported(model, f"{path.name} has the length {max_length!r}")
    return TransformerSettings(max_length, bool(settings.get("do_lower_case")))


def _check_output(model: str, settings: Mapping[str, Any], task: str) -> None:
    output, feature = OUTPUTS[task]
    for modality, way in _object(model, settings, "modality_config").items():
        named = way.get("method_output_name") if isinstance(way, dict) else None
        is_known = isinstance(way, dict) and way.get("method") == "forward" and named in (output, [output])
        if modality != "text" or not is_known:
            raise ModulesUnsupported(model, f"its transformer reads {modality} by {way!r}")
    if settings.get("module_output_name", feature) != feature:
        raise ModulesUnsupported(model, f"its transformer gives {settings['module_output_name']!r}")


def _text_processing(model: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    processing = _object(model, settings, "processing_kwargs")
    text = _object(model, processing, "text")
    unknown = {name for name in processing if name != "text" and processing[name]}
    unknown |= set(text) - {"padding", "truncation", "max_length", "pad_to_multiple_of"}
    if unknown:
        raise ModulesUnsupported(model, f"its texts are processed with {min(unknown)}")
    return text


def _object(model: str, settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = settings.get(name) or {}
    if not isinstance(found, dict):
        raise ModulesUnsupported(model, f"{name} is {found!r}")
    return found

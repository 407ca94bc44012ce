"""What config.json says a model is, and whether that can be used here."""

from collections.abc import Mapping
from typing import Any

from rankmill.worker.errors import (
    ArchitectureUnsupported,
    DecoderUnsupported,
    NotACrossEncoder,
    Quantized,
    RemoteCodeRefused,
)

CLASSIFIER = "ForSequenceClassification"


def check_config(model: str, config: Mapping[str, Any], *, has_head_modules: bool) -> None:
    """Raises a ModelError for what is wrong. With modules behind it, the transformer needs no head."""
    if config.get("auto_map"):
        raise RemoteCodeRefused(model)
    if config.get("quantization_config") or config.get("compression_config"):
        raise Quantized(model, _method(config))
    architecture = architecture_of(config)
    if _is_decoder(str(config.get("model_type", "")), architecture) or config.get("is_encoder_decoder"):
        raise DecoderUnsupported(model, architecture or str(config.get("model_type")))
    if has_head_modules:
        return
    if architecture and not architecture.endswith(CLASSIFIER):
        raise ArchitectureUnsupported(model, architecture)
    if (num_labels := _num_labels(config)) != 1:
        raise NotACrossEncoder(model, num_labels)


def architecture_of(config: Mapping[str, Any]) -> str:
    """The class that the weights were saved from, if the config names one."""
    architectures = config.get("architectures") or [""]
    return str(architectures[0]) if isinstance(architectures, list) else str(architectures)


def _method(config: Mapping[str, Any]) -> str:
    settings = config.get("quantization_config") or config.get("compression_config")
    return str(settings.get("quant_method", "an unnamed method")) if isinstance(settings, dict) else ""


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
    """As transformers counts them: a number comes before names."""
    labels, named = config.get("id2label"), config.get("num_labels")
    if isinstance(named, int):
        return named
    return len(labels) if isinstance(labels, Mapping) else 2

"""Loads a checkpoint's model by transformers' Auto classes.

Only safetensors; no remote code; fetches nothing. Every weight must come from the files.
"""

from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from rankmill.worker.errors import ArchitectureUnsupported, BrokenWeights, ConfigRefused, ModelError
from rankmill.worker.loading.files.checkpoint import Checkpoint
from rankmill.worker.loading.tensors.modular import with_head
from rankmill.worker.loading.tensors.names import check_names
from rankmill.worker.model.out_of_memory import is_out_of_memory

# How transformers says that it knows no such kind of model.
NOT_KNOWN = ("nrecognized configuration", "nrecognized model", "does not recognize")


def load_config(checkpoint: Checkpoint) -> Any:
    """The stock config. Raises the ModelError of one that transformers makes nothing of."""
    # What it warns of is refused here, or does not matter.
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        config = AutoConfig.from_pretrained(
            checkpoint.directory, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:
        raise _explained(checkpoint, error) from error
    if config._attn_implementation:  # what computes is chosen here, and what is named may not be installed
        config._attn_implementation = "eager"
    return config


def load_model(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """The stock model in evaluation mode, or a modular one around a stock transformer.

    Raises a ModelError when the files do not hold all of it, hold more of it than the config describes, or
    hold what is no number.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    head, config = checkpoint.modules.head, load_config(checkpoint)
    stock = AutoModelForSequenceClassification if head is None else AutoModel
    try:
        model, report = stock.from_pretrained(
            checkpoint.directory,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are told below, by name
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _explained(checkpoint, error) from error
    check_names(checkpoint.model, model, report, is_headless=head is not None)
    if head is not None:
        model = with_head(checkpoint.model, model, head)
    assert isinstance(model, torch.nn.Module)
    model = model.requires_grad_(False).eval().to(device)
    _check_finite(checkpoint.model, model)
    return model


def _explained(checkpoint: Checkpoint, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:300].rstrip(".")
    if isinstance(error, SafetensorError | OSError | RuntimeError):
        return BrokenWeights(checkpoint.model, reason)
    kind = str(checkpoint.config.get("model_type"))
    if any(words in reason for words in NOT_KNOWN):
        return ArchitectureUnsupported(checkpoint.model, kind)
    return ConfigRefused(checkpoint.model, reason)


def _check_finite(model: str, module: Any) -> None:
    """Raises BrokenWeights where a weight is infinite or no number: so would scores be."""
    broken = [name for name, weight in module.named_parameters() if not _is_finite(weight)]
    if broken:
        names = ", ".join(broken[:3])
        dtype = str(next(module.parameters()).dtype).removeprefix("torch.")
        raise BrokenWeights(model, f"{names} hold what is no finite number in {dtype}")


@torch.inference_mode()
def _is_finite(weight: torch.Tensor) -> bool:
    # One pass, no second tensor; what is not a number comes out as the least and the largest.
    least, largest = torch.aminmax(weight) if weight.numel() else (weight.new_zeros(()),) * 2
    return bool(torch.isfinite(least) & torch.isfinite(largest))

"""Loads a checkpoint's tokenizer and model by transformers' Auto classes.

Only safetensors; no remote code; fetches nothing.
"""

from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from rankmill.worker.errors import ArchitectureUnsupported, BrokenWeights, TokenizerUnsupported
from rankmill.worker.loading.checkpoint import Checkpoint
from rankmill.worker.model.out_of_memory import is_out_of_memory

# Tokenizers without a limit give a number larger than this.
NO_LIMIT = 10**9


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The stock tokenizer. Raises TokenizerUnsupported when it has no fast form."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint.directory, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise TokenizerUnsupported(checkpoint.model, reason) from error
    if not isinstance(getattr(tokenizer, "backend_tokenizer", None), Tokenizer):
        raise TokenizerUnsupported(checkpoint.model, "it has no fast form")
    return tokenizer


def tokenizer_limit(tokenizer: Any) -> int | None:
    """The most tokens that the tokenizer advises for one sequence; None when it advises nothing."""
    limit = int(tokenizer.model_max_length)
    return limit if limit < NO_LIMIT else None


def load_model(checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """The stock model in evaluation mode. Raises BrokenWeights when the files do not hold all of it."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            checkpoint.directory,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (SafetensorError, OSError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise BrokenWeights(checkpoint.model, " ".join(str(error).split())[:300]) from error
    except (ValueError, KeyError) as error:
        raise ArchitectureUnsupported(checkpoint.model, str(checkpoint.config.get("model_type"))) from error
    # A head that is not in the files would be filled with random numbers, and nothing would show it.
    if missing := sorted(report["missing_keys"]):
        raise BrokenWeights(checkpoint.model, f"they lack {', '.join(missing[:3])}")
    assert isinstance(model, torch.nn.Module)
    return model.requires_grad_(False).eval().to(device)

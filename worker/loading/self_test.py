"""Start-up check: every path that computes against plain runs of the same model, one sequence at a time.

A fast path that disagrees is never used: the next one is tried, and padding is the last. Where that does not
agree either, the model is refused.
"""

import logging
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from rankmill.worker.errors import NotFinite, PathsDisagree
from rankmill.worker.loading.probes import Trial, stays
from rankmill.worker.model.attention.choice import kernels_for
from rankmill.worker.model.attention.packed import PACKED_ATTENTION, Kernel, register_packed_attention
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.model.families import Family
from rankmill.worker.model.out_of_memory import is_out_of_memory

log = logging.getLogger("rankmill.worker")


# Unlike pairs whose logits lie no further apart than this, relative to logits beyond 1, are not told apart.
NO_SPREAD = 1e-3


def check_trial(name: str, trial: Trial) -> None:
    """Raises NotFinite where the stock model gives no numbers; warns where unlike pairs get the same one.

    In half precision single sequences may have none: they are computed again in fp32.
    """
    _check_finite(name, trial)
    if not is_spread(trial.unlike.tolist()):
        fields = {"model": name, "logit": float(trial.unlike[0])}
        log.warning("no_spread", extra={"fields": fields})


def _check_finite(name: str, trial: Trial) -> None:
    is_finite = trial.expected.isfinite()
    is_half = trial.dtype != torch.float32
    if bool(is_finite.any() if is_half else is_finite.all()):
        return
    remedy = (
        "Use --precision bf16 or fp32, which hold larger numbers."
        if is_half
        else "Its weights are broken; fetch or copy the model's files again."
    )
    raise NotFinite(name, str(trial.dtype).removeprefix("torch."), remedy)


def is_spread(logits: Sequence[float]) -> bool:
    """Whether logits of unlike pairs differ by more than rounding."""
    finite = [logit for logit in logits if math.isfinite(logit)]
    if len(finite) < 2:
        return True  # there is nothing to compare
    return max(finite) - min(finite) > NO_SPREAD * max(1.0, *map(abs, finite))


def choose_encoder(
    name: str, model: nn.Module, family: Family | None, trial: Trial
) -> PackedEncoder | PaddedEncoder:
    """The fastest encoder that agrees with the stock model on the trial's sequences. Raises PathsDisagree."""
    parameter = next(model.parameters())
    device, dtype = parameter.device, parameter.dtype
    untyped_model: Any = model
    stock_attention = str(untyped_model.config._attn_implementation)
    if family is None:
        log.warning("padded_model", extra={"fields": {"model_class": type(model).__name__}})
    else:
        register_packed_attention()
        for kernel in kernels_for(device, dtype):
            untyped_model.set_attn_implementation(PACKED_ATTENTION)
            if encoder := _packed(model, family, kernel, trial):
                return encoder
        log.warning("fell_back_to_padded", extra={"fields": {"model_class": type(model).__name__}})
        untyped_model.set_attn_implementation(stock_attention)
    padded = PaddedEncoder(model, device)
    found = padded.logits(trial.batch)
    if not trial.agrees(found):
        raise PathsDisagree(name, type(model).__name__, trial.difference(found))
    return padded


def _packed(model: nn.Module, family: Family, kernel: Kernel, trial: Trial) -> PackedEncoder | None:
    """The model with this kernel, if it agrees."""
    fields: dict[str, object] = {"kernel": kernel.__name__, "model_class": type(model).__name__}
    try:
        encoder = PackedEncoder(model, family, kernel, next(model.parameters()).device)
        found = encoder.logits(trial.batch)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        log.warning("fast_path_failed", extra={"fields": {**fields, "error": str(error)[:300]}})
        return None
    if trial.agrees(found):
        return encoder
    fields["difference"] = trial.difference(found)
    log.warning("fast_path_disagrees", extra={"fields": fields})
    return None


def exact_twin(encoder: PackedEncoder | PaddedEncoder, trial: Trial) -> PackedEncoder | PaddedEncoder | None:
    """The same model in fp32, if it agrees as well; it is made only when it is needed."""
    twin = encoder.exact()
    return twin if stays(twin, trial, "fp32 twin") else None

"""Compares every path with plain runs of the same model, one sequence at a time, when a model is loaded.

A fast path that gives other logits is never used: the next one is tried, and in the end padding. If padding
gives other logits, too, the model is refused.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from rankmill.worker.batching.layout import Layout
from rankmill.worker.errors import TrialFailed
from rankmill.worker.loading.probes import Trial, keeps_logits, make_trial
from rankmill.worker.model.attention.choice import kernels_for
from rankmill.worker.model.attention.packed import PACKED_ATTENTION, Kernel, register_packed_attention
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.model.families import Family
from rankmill.worker.model.out_of_memory import is_out_of_memory
from rankmill.worker.tokenize.tokenizer import CachingTokenizer

log = logging.getLogger("rankmill.worker")


def try_alone(name: str, model: Any, layout: Layout, tokenizer: CachingTokenizer, max_length: int) -> Trial:
    """What the stock model gives for sequences alone. Warns where unlike pairs get the same logit.

    Raises TrialFailed where it does not run or gives no finite numbers. In half precision some sequences may
    have none, because they are scored again in fp32.
    """
    with _explained(name, model):
        trial = make_trial(model, layout, tokenizer, max_length)
    _check_finite(name, trial)
    if not trial.tells_apart:
        fields = {"model": name, "logit": float(trial.unlike[0])}
        log.warning("no_spread", extra={"fields": fields})
    return trial


@contextmanager
def _explained(name: str, model: Any) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise TrialFailed(name, f"does not run as {type(model).__name__}: {reason}") from error


def _check_finite(name: str, trial: Trial) -> None:
    is_finite = trial.expected.isfinite()
    is_half = trial.dtype != torch.float32
    if bool(is_finite.any() if is_half else is_finite.all()):
        return
    remedy = (
        "Use --precision bf16 or fp32, which hold larger numbers"
        if is_half
        else "Its weights are broken; fetch or copy the model's files again"
    )
    dtype = str(trial.dtype).removeprefix("torch.")
    raise TrialFailed(name, f"gives no finite numbers for ordinary pairs in {dtype}", remedy)


def choose_encoder(
    name: str, model: nn.Module, family: Family | None, trial: Trial
) -> PackedEncoder | PaddedEncoder:
    """The fastest encoder whose logits agree with the stock model's on the trial. Raises TrialFailed."""
    parameter = next(model.parameters())
    device, dtype = parameter.device, parameter.dtype
    untyped_model: Any = model
    stock_attention = str(untyped_model.config._attn_implementation)
    if family is None:
        log.warning("padded_model", extra={"fields": {"model_class": type(model).__name__}})
    else:
        register_packed_attention()
        for kernel in kernels_for(device, dtype):
            if encoder := _packed(model, family, kernel, trial):
                return encoder
        log.warning("fell_back_to_padded", extra={"fields": {"model_class": type(model).__name__}})
        untyped_model.set_attn_implementation(stock_attention)
    padded = PaddedEncoder(model, device)
    with _explained(name, model):
        found = padded.logits(trial.batch)
    if not trial.agrees(found):
        trouble = f"gives other logits for pairs together than for each alone ({type(model).__name__})"
        raise TrialFailed(name, f"{trouble}, by up to {trial.difference(found):.2g}")
    return padded


def _packed(model: Any, family: Family, kernel: Kernel, trial: Trial) -> PackedEncoder | None:
    """The model with this kernel, if its logits agree."""
    fields: dict[str, object] = {"kernel": kernel.__name__, "model_class": type(model).__name__}
    try:
        model.set_attn_implementation(PACKED_ATTENTION)
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


def checked_fp32(
    encoder: PackedEncoder | PaddedEncoder, trial: Trial
) -> PackedEncoder | PaddedEncoder | None:
    """The same model in fp32, if its logits agree. Called only when it is needed."""
    in_fp32 = encoder.in_fp32()
    return in_fp32 if keeps_logits(in_fp32, trial, "fp32 twin") else None

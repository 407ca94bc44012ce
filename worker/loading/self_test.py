"""Compares the fast path with plain runs of the same model, one sequence at a time, when a model is loaded.

A fast path that gives other logits is never used: the next one is tried, and in the end padding.
"""

import logging
from typing import Any

import torch
from torch import Tensor, nn

from rankmill.worker.batching.layout import Batch, Layout
from rankmill.worker.loading.probes import are_close, probe_batch
from rankmill.worker.model.attention.choice import kernels_for
from rankmill.worker.model.attention.packed import PACKED_ATTENTION, register_packed_attention
from rankmill.worker.model.attention.varlen import use_flash
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.model.families import Family
from rankmill.worker.model.out_of_memory import is_out_of_memory
from rankmill.worker.tokenize.tokenizer import TokenizedText

log = logging.getLogger("rankmill.worker")


def choose_encoder(
    model: nn.Module, family: Family | None, layout: Layout, probe: TokenizedText, max_length: int
) -> PackedEncoder | PaddedEncoder:
    """The fastest encoder whose logits agree with the stock model's on sequences of the probe's tokens."""
    parameter = next(model.parameters())
    device, dtype = parameter.device, parameter.dtype
    use_flash(None)  # an earlier model may have left another, which must not compute the stock model
    if family is None:
        log.warning("padded_model", extra={"fields": {"model_class": type(model).__name__}})
        return PaddedEncoder(model, device)
    batch = probe_batch(layout, probe, max_length)
    expected = _plain_logits(model, batch, device)
    stock_attention = str(model.config._attn_implementation)  # type: ignore[union-attr]
    register_packed_attention()
    untyped_model: Any = model
    for kernel in kernels_for(device, dtype):
        fields = {"kernel": kernel.__name__, "model_class": type(model).__name__}
        try:
            untyped_model.set_attn_implementation(PACKED_ATTENTION)
            encoder = PackedEncoder(model, family, kernel, device)
            found = encoder.logits(batch)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            log.warning("fast_path_failed", extra={"fields": {**fields, "error": str(error)[:300]}})
            continue
        if are_close(found, expected, dtype):
            return encoder
        difference = float((found - expected).abs().max())
        log.warning("fast_path_disagrees", extra={"fields": {**fields, "difference": difference}})
    log.warning("fell_back_to_padded", extra={"fields": {"model_class": type(model).__name__}})
    untyped_model.set_attn_implementation(stock_attention)
    return PaddedEncoder(model, device)


@torch.inference_mode()
def _plain_logits(model: nn.Module, batch: Batch, device: torch.device) -> Tensor:
    num_tokens = batch.num_tokens
    ids, _, types = torch.from_numpy(batch.flat[: 3 * num_tokens]).long().to(device).view(3, 1, num_tokens)
    has_token_types = int(getattr(model.config, "type_vocab_size", 0) or 0) > 1
    logits = []
    for start, end in zip(batch.bounds[:-1].tolist(), batch.bounds[1:].tolist(), strict=True):
        inputs = {"input_ids": ids[:, start:end], "attention_mask": torch.ones_like(ids[:, start:end])}
        if has_token_types:
            inputs["token_type_ids"] = types[:, start:end]
        logits.append(model(**inputs).logits.float().reshape(-1))
    return torch.cat(logits)

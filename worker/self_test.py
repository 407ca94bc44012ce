"""Start-up check: the fast path against plain runs of the same model, one sequence at a time.

A fast path that disagrees is never used: the next one is tried, and padding is the last.
"""

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from worker import attention
from worker.batches import Batch, Layout, PairSequence
from worker.cross_encoder import PackedEncoder, PaddedEncoder
from worker.families import Family
from worker.kernels import kernels_for
from worker.memory import is_out_of_memory
from worker.tokenization import TokenizedText
from worker.varlen_kernels import use_flash

log = logging.getLogger("rankmill.worker")

# Half precision computes in another order here than there; these are far below what a mistake does.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
DOCUMENT_TOKENS = (3, 30, 30, 333)


def choose_encoder(
    model: nn.Module, family: Family | None, layout: Layout, probe: TokenizedText, max_length: int
) -> PackedEncoder | PaddedEncoder:
    """The fastest encoder that agrees with the stock model on sequences made of the probe's tokens."""
    parameter = next(model.parameters())
    device, dtype = parameter.device, parameter.dtype
    use_flash(None)  # a model before may have left another, and the stock model shall not be computed by it
    if family is None:
        log.warning("padded_model", extra={"fields": {"model_class": type(model).__name__}})
        return PaddedEncoder(model, device)
    batch = probe_batch(layout, probe, max_length)
    expected = _plain_logits(model, batch, device)
    stock_attention = str(model.config._attn_implementation)  # type: ignore[union-attr]
    attention.register()
    untyped_model: Any = model
    for kernel in kernels_for(device, dtype):
        fields = {"kernel": kernel.__name__, "model_class": type(model).__name__}
        try:
            untyped_model.set_attn_implementation(attention.PACKED_ATTENTION)
            encoder = PackedEncoder(model, family, kernel, device)
            found = encoder.logits(batch)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            log.warning("fast_path_failed", extra={"fields": {**fields, "error": str(error)[:300]}})
            continue
        if agrees(found, expected, dtype):
            return encoder
        difference = float((found - expected).abs().max())
        log.warning("fast_path_disagrees", extra={"fields": {**fields, "difference": difference}})
    log.warning("fell_back_to_padded", extra={"fields": {"model_class": type(model).__name__}})
    untyped_model.set_attn_implementation(stock_attention)
    return PaddedEncoder(model, device)


def stays(
    encoder: PackedEncoder | PaddedEncoder, batch: Batch, expected: Tensor, dtype: torch.dtype, path: str
) -> bool:
    """Whether the encoder still gives these logits; warns where it does not."""
    try:
        found = encoder.logits(batch)
    except Exception as error:
        log.warning("fast_path_failed", extra={"fields": {"path": path, "error": str(error)[:300]}})
        return False
    if agrees(found, expected, dtype):
        return True
    difference = float((found - expected).abs().max())
    log.warning("fast_path_disagrees", extra={"fields": {"path": path, "difference": difference}})
    return False


def agrees(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    """Whether logits are equal but for rounding in this number format."""
    scale = max(1.0, float(expected.abs().max()))
    return bool(((found - expected).abs() <= TOLERANCE[dtype] * scale).all())


def probe_batch(layout: Layout, probe: TokenizedText, max_length: int) -> Batch:
    """Sequences of several lengths, neighbours of equal length among them, made of the probe's tokens."""
    ids = np.resize(probe.ids, max_length)
    text = TokenizedText(ids, ids, ids)
    num_query = min(4, max_length - layout.template.num_special_tokens - 1)
    room = max_length - layout.template.num_special_tokens - num_query
    sequences = [
        PairSequence(text, num_query, text, shift, shift + min(length, room - shift))
        for shift, length in enumerate(DOCUMENT_TOKENS)
        if room - shift > 0
    ]
    return layout.batch(sequences, range(len(sequences)))


def longest_sequences(layout: Layout, probe: TokenizedText, max_length: int, num_tokens: int) -> Batch:
    """A batch of about so many tokens in sequences as long as they get: for these a token needs the most."""
    ids = np.resize(probe.ids, max_length)
    text = TokenizedText(ids, ids, ids)
    room = max_length - layout.template.num_special_tokens - 1
    longest = PairSequence(text, 1, text, 0, min(room, num_tokens))
    num_sequences = max(1, num_tokens // layout.length(longest))
    return layout.batch([longest] * num_sequences, range(num_sequences))


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

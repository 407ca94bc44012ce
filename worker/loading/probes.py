"""Batches to try a model with, and what it means for logits to agree."""

import logging

import numpy as np
import torch
from torch import Tensor

from rankmill.worker.batching.layout import Batch, Layout, PairSequence
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.tokenize.tokenizer import TokenizedText

log = logging.getLogger("rankmill.worker")

# Another path adds up in another order, which half precision shows. A mistake makes far larger differences.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
DOCUMENT_TOKENS = (3, 30, 30, 333)


def keeps_logits(
    encoder: PackedEncoder | PaddedEncoder, batch: Batch, expected: Tensor, dtype: torch.dtype, path: str
) -> bool:
    """Whether the encoder still gives the expected logits; logs a warning where it does not."""
    try:
        found = encoder.logits(batch)
    except Exception as error:
        log.warning("fast_path_failed", extra={"fields": {"path": path, "error": str(error)[:300]}})
        return False
    if are_close(found, expected, dtype):
        return True
    difference = float((found - expected).abs().max())
    log.warning("fast_path_disagrees", extra={"fields": {"path": path, "difference": difference}})
    return False


def are_close(found: Tensor, expected: Tensor, dtype: torch.dtype) -> bool:
    """Whether logits are equal up to rounding in this number format."""
    scale = max(1.0, float(expected.abs().max()))
    return bool(((found - expected).abs() <= TOLERANCE[dtype] * scale).all())


def probe_batch(layout: Layout, probe: TokenizedText, max_length: int) -> Batch:
    """Sequences of several lengths, two of them equal, made of the probe's tokens."""
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


def longest_batch(layout: Layout, probe: TokenizedText, max_length: int, num_tokens: int) -> Batch:
    """A batch of about so many tokens in the longest sequences, whose tokens need the most memory."""
    ids = np.resize(probe.ids, max_length)
    text = TokenizedText(ids, ids, ids)
    room = max_length - layout.template.num_special_tokens - 1
    longest = PairSequence(text, 1, text, 0, min(room, num_tokens))
    num_sequences = max(1, num_tokens // layout.length(longest))
    return layout.batch([longest] * num_sequences, range(num_sequences))

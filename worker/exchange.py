"""Layers that compute faster in the place of linear ones, checked by what becomes of the logits.

Exchanges all of an encoder's but its head's. Knows encoders and linear layers, not pairs.
"""

import logging
from collections.abc import Callable

import torch
from torch import nn

from worker.batches import Layout
from worker.blocked_linear import BlockedLinear
from worker.cross_encoder import PackedEncoder, PaddedEncoder
from worker.kernels import multiplies_bf16_blocks
from worker.quantization import QuantizedLinear
from worker.query_blocks import by_query_blocks_in_bf16
from worker.self_test import agrees, probe_batch
from worker.tokenization import TokenizedText

log = logging.getLogger("rankmill.worker")

# A trained model's logits on trial pairs were seen to move by a fifth of this, a random one's by half of it.
INT8_TOLERANCE = 0.5


def quantize(
    encoder: PackedEncoder | PaddedEncoder, layout: Layout, probe: TokenizedText, max_length: int
) -> float | None:
    """Has linear layers multiply integers, and attention bf16 where that is faster; the fp32 weights go.
    Returns by how much logits then differ if that is too much.
    """
    batch = probe_batch(layout, probe, max_length)
    expected = encoder.logits(batch)
    exchange_linears(encoder.layers, QuantizedLinear)
    if isinstance(encoder, PackedEncoder) and multiplies_bf16_blocks():
        encoder.kernel = by_query_blocks_in_bf16
    difference = float((encoder.logits(batch) - expected).abs().max())
    return None if difference <= INT8_TOLERANCE * max(1.0, float(expected.abs().max())) else difference


def lay_in_blocks(
    encoder: PackedEncoder | PaddedEncoder,
    layout: Layout,
    probe: TokenizedText,
    max_length: int,
    dtype: torch.dtype,
) -> None:
    """Has linear layers read their weights in blocks, unless that fails or logits then differ."""
    batch = probe_batch(layout, probe, max_length)
    expected = encoder.logits(batch)
    take_back = exchange_linears(encoder.layers, BlockedLinear)
    try:
        found = encoder.logits(batch)
    except Exception as error:
        take_back()
        log.warning("fast_path_failed", extra={"fields": {"path": "blocks", "error": str(error)[:300]}})
        return
    if not agrees(found, expected, dtype):
        take_back()
        difference = float((found - expected).abs().max())
        log.warning("fast_path_disagrees", extra={"fields": {"path": "blocks", "difference": difference}})


def exchange_linears(module: nn.Module, stand_in: Callable[[nn.Linear], nn.Module]) -> Callable[[], None]:
    """Puts a stand-in in the place of every linear layer below `module`; returns what takes that back."""
    exchanged = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear)
    ]
    for parent, name, child in exchanged:
        setattr(parent, name, stand_in(child))

    def take_back() -> None:
        for parent, name, child in exchanged:
            setattr(parent, name, child)

    return take_back

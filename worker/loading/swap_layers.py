"""Layers that compute faster in the place of linear ones, checked by what becomes of the logits.

Exchanges all of an encoder's but its head's. Knows encoders and linear layers, not pairs.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from rankmill.worker.loading.probes import Trial, stays
from rankmill.worker.model.attention.choice import multiplies_bf16_blocks
from rankmill.worker.model.attention.query_blocks import by_query_blocks_in_bf16
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.model.layers.blocked_linear import BlockedLinear
from rankmill.worker.model.layers.int8 import QuantizedLinear

# A trained model's logits on trial pairs were seen to move by a fifth of this, a random one's by half of it.
INT8_TOLERANCE = 0.5

Layer = TypeVar("Layer", bound=nn.Module)


def quantize(encoder: PackedEncoder | PaddedEncoder, trial: Trial) -> float | None:
    """Has linear layers multiply integers; their fp32 weights go. Returns by how much logits then differ if
    that is too much. Attention is then bf16's where that is faster.
    """
    if isinstance(encoder, PackedEncoder) and multiplies_bf16_blocks():
        _attend_in_bf16(encoder, replace(trial, dtype=torch.bfloat16))
    exchange(encoder.layers, nn.Linear, QuantizedLinear)
    difference = trial.difference(encoder.logits(trial.batch))
    return None if difference <= INT8_TOLERANCE * max(1.0, float(trial.expected.abs().max())) else difference


def _attend_in_bf16(encoder: PackedEncoder, trial: Trial) -> None:
    kernel = encoder.kernel
    encoder.kernel = by_query_blocks_in_bf16
    if not stays(encoder, trial, "bf16 attention"):
        encoder.kernel = kernel


def lay_in_blocks(encoder: PackedEncoder | PaddedEncoder, trial: Trial) -> None:
    """Has linear layers read their weights in blocks, unless that fails or logits then differ."""
    exchange(encoder.layers, nn.Linear, BlockedLinear)
    if not stays(encoder, trial, "blocks"):
        exchange(encoder.layers, BlockedLinear, BlockedLinear.plain)


def exchange(module: nn.Module, kind: type[Layer], stand_in: Callable[[Layer], nn.Module]) -> None:
    """Puts a stand-in in the place of every layer of a kind below `module`.

    One by one, so that the weights of each are let go before the next one's are laid.
    """
    places = [
        (parent, name)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, kind)
    ]
    for parent, name in places:
        setattr(parent, name, stand_in(getattr(parent, name)))

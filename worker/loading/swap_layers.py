"""Replaces an encoder's linear layers by faster ones, and checks what that does to logits.

Replaces all but those of the head. Knows encoders and linear layers; knows no pair.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from rankmill.worker.loading.probes import Trial, keeps_logits
from rankmill.worker.model.attention.choice import has_bf16_without_amx
from rankmill.worker.model.attention.query_blocks import query_blocks_in_bf16
from rankmill.worker.model.encoders import PackedEncoder, PaddedEncoder
from rankmill.worker.model.layers.blocked_linear import BlockedLinear
from rankmill.worker.model.layers.int8 import QuantizedLinear

# A trained model's logits on probes were seen to move by a fifth of this, a random model's by half of it.
INT8_TOLERANCE = 0.5

Layer = TypeVar("Layer", bound=nn.Module)


def quantize(encoder: PackedEncoder | PaddedEncoder, trial: Trial) -> float | None:
    """Replaces linear layers by int8 ones, and frees their fp32 weights.

    Attention then computes in bf16 where that is faster. Returns None, or by how much logits differ if that
    is too much.
    """
    if isinstance(encoder, PackedEncoder) and has_bf16_without_amx():
        _attend_in_bf16(encoder, replace(trial, dtype=torch.bfloat16))
    swap(encoder.layers, nn.Linear, QuantizedLinear)
    difference = trial.difference(encoder.logits(trial.batch))
    return None if difference <= INT8_TOLERANCE * max(1.0, float(trial.expected.abs().max())) else difference


def _attend_in_bf16(encoder: PackedEncoder, trial: Trial) -> None:
    kernel = encoder.kernel
    encoder.kernel = query_blocks_in_bf16
    if not keeps_logits(encoder, trial, "bf16 attention"):
        encoder.kernel = kernel


def block_weights(encoder: PackedEncoder | PaddedEncoder, trial: Trial) -> None:
    """Lets linear layers store their weights in blocks, unless that fails or changes logits."""
    swap(encoder.layers, nn.Linear, BlockedLinear)
    if not keeps_logits(encoder, trial, "blocks"):
        swap(encoder.layers, BlockedLinear, BlockedLinear.plain)


def swap(module: nn.Module, kind: type[Layer], replacement: Callable[[Layer], nn.Module]) -> None:
    """Replaces every layer of a kind below `module`.

    One by one, so that the weights of each are freed before those of the next are made.
    """
    places = [
        (parent, name)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, kind)
    ]
    for parent, name in places:
        setattr(parent, name, replacement(getattr(parent, name)))

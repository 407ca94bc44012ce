"""Attention over sequences laid end to end without padding, each attending to itself only.

Registered with transformers under PACKED_ATTENTION; the model's forward pass hands `segments` through to it.
Knows tensors and bounds; knows no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

# The name must not contain "flash", "sdpa", "flex_attention" or "/": to transformers they mean something.
PACKED_ATTENTION = "rankmill_packed"

LOCAL_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Segments:
    """A batch's sequences: `bounds` on the device, and runs of equal length as (start, length, count)."""

    bounds: Tensor
    runs: Sequence[tuple[int, int, int]]
    max_length: int
    kernel: "Kernel"


# A kernel takes queries, keys and values of shape (tokens, heads, head size), the segments, the scale, and
# how far a token sees to each side (None: its whole sequence). It returns the same shape.
Kernel = Callable[[Tensor, Tensor, Tensor, Segments, float, int | None], Tensor]


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    segments: Segments,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """What transformers calls: (1, heads, tokens, head size) in, (1, tokens, heads, head size) out."""
    del module, attention_mask
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    reach = sliding_window - 1 if sliding_window is not None else None
    flat = [states.squeeze(0).transpose(0, 1) for states in (query, key, value)]
    return segments.kernel(flat[0], flat[1], flat[2], segments, scale, reach).unsqueeze(0), None


def register_packed_attention() -> None:
    AttentionInterface.register(PACKED_ATTENTION, packed_attention)


def find_runs(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Neighbours of equal length as (first token, length, count), so that one call computes them together."""
    runs: list[tuple[int, int, int]] = []
    start = 0
    for length in lengths:
        if runs and runs[-1][1] == length:
            first, _, count = runs[-1]
            runs[-1] = (first, length, count + 1)
        else:
            runs.append((start, length, 1))
        start += length
    return runs


def dense_by_length(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """One dense attention for each run of equal lengths: every device, every precision."""
    output = torch.empty_like(query, memory_format=torch.contiguous_format)
    for run in segments.runs:
        attend_run(output, query, key, value, run, scale, reach)
    zero_filler_rows(output, segments)
    return output


def zero_filler_rows(output: Tensor, segments: Segments) -> None:
    """Writes zeros for the filler tokens behind all sequences."""
    start, length, count = segments.runs[-1]
    output[start + length * count :].zero_()


def attend_run(
    output: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    run: tuple[int, int, int],
    scale: float,
    reach: int | None,
) -> None:
    """Writes one run's result."""
    start, length, count = run
    rows = slice(start, start + length * count)
    shape = (count, length, *query.shape[1:])
    dense = [states[rows].view(shape).transpose(1, 2) for states in (query, key, value)]
    attended = _dense(dense[0], dense[1], dense[2], scale, reach)
    output[rows].view(shape).copy_(attended.transpose(1, 2))


def _dense(query: Tensor, key: Tensor, value: Tensor, scale: float, reach: int | None) -> Tensor:
    length = query.shape[2]
    if reach is None or length <= reach + 1:
        return scaled_dot_product_attention(query, key, value, scale=scale)
    blocks = []
    for start in range(0, length, LOCAL_BLOCK):
        end = min(start + LOCAL_BLOCK, length)
        first, last = max(0, start - reach), min(length, end + reach)
        mask = _local_mask(end - start, last - first, start - first, reach, query.device)
        blocks.append(
            scaled_dot_product_attention(
                query[:, :, start:end],
                key[:, :, first:last],
                value[:, :, first:last],
                attn_mask=mask,
                scale=scale,
            )
        )
    return torch.cat(blocks, dim=2)


@lru_cache(maxsize=64)
def _local_mask(num_queries: int, num_keys: int, shift: int, reach: int, device: torch.device) -> Tensor:
    queries = torch.arange(num_queries, device=device)[:, None] + shift
    keys = torch.arange(num_keys, device=device)[None, :]
    return (queries - keys).abs() <= reach

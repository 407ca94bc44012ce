"""Attention over sequences of different lengths on CUDA, in one call for the whole batch.

Knows tensors and bounds, and PyTorch's kernels for them.
"""

import importlib.util
import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import attention

from rankmill.worker.model.attention.packed import Segments, dense_by_length

# The package that contains FlashAttention 3, and PyTorch's name for it.
FLASH_3_PACKAGE, FLASH_3 = "flash_attn_interface", "FA3"


def varlen(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """PyTorch's own FlashAttention: CUDA from sm80 on, half precision."""
    return _varlen(query, key, value, segments, scale, reach, None)


def varlen_flash_3(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """FlashAttention 3, where it is installed: CUDA at sm90, half precision."""
    return _varlen(query, key, value, segments, scale, reach, FLASH_3)


def _varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    segments: Segments,
    scale: float,
    reach: int | None,
    flash: str | None,
) -> Tensor:
    if reach is not None and "window_size" not in _varlen_options():
        return dense_by_length(query, key, value, segments, scale, reach)
    bounds, longest = segments.bounds, segments.max_length
    return varlen_cross(
        query, key, value, (bounds, bounds), (longest, longest), scale, reach=reach, flash=flash
    )


def varlen_cross(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bounds: tuple[Tensor, Tensor],
    longest: tuple[int, int],
    scale: float,
    *,
    reach: int | None = None,
    flash: str | None = None,
) -> Tensor:
    """The same, where queries and keys differ in number: `bounds` and `longest` are (queries', keys')."""
    from torch.nn.attention.varlen import varlen_attn  # absent from PyTorch without CUDA parts

    use_flash(flash)
    options: dict[str, Any] = {} if reach is None else {"window_size": (reach, reach)}
    if "scale" in _varlen_options():
        options["scale"] = scale
    elif scale != query.shape[-1] ** -0.5:
        query = query * (scale * query.shape[-1] ** 0.5)
    output = varlen_attn(query, key, value, *bounds, *longest, **options)
    assert isinstance(output, Tensor)
    return output


def has_flash_3() -> bool:
    """Whether FlashAttention 3 is installed, and this PyTorch knows how to call it."""
    known: Callable[[], list[str]] = getattr(attention, "list_flash_attention_impls", list)
    return FLASH_3 in known() and importlib.util.find_spec(FLASH_3_PACKAGE) is not None


def use_flash(wanted: str | None) -> None:
    """Lets PyTorch use this implementation from now on, in the whole process; None is its own."""
    if getattr(attention, "current_flash_attention_impl", lambda: None)() == wanted:
        return
    if wanted is None:
        attention.restore_flash_attention_impl()
    else:
        attention.activate_flash_attention_impl(wanted)


@lru_cache(maxsize=1)
def _varlen_options() -> frozenset[str]:
    from torch.nn.attention.varlen import varlen_attn

    return frozenset(inspect.signature(varlen_attn).parameters)


def memory_efficient(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """Memory-efficient attention: CUDA from sm50 on, such as a T4, every precision."""
    if reach is not None:
        return dense_by_length(query, key, value, segments, scale, reach)
    bounds, longest = segments.bounds, segments.max_length
    return memory_efficient_cross(query, key, value, (bounds, bounds), (longest, longest), scale)


def memory_efficient_cross(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bounds: tuple[Tensor, Tensor],
    longest: tuple[int, int],
    scale: float,
) -> Tensor:
    """The same, where queries and keys differ in number: `bounds` and `longest` are (queries', keys')."""
    states = [state.unsqueeze(0) for state in (query, key, value)]
    output = torch.ops.aten._efficient_attention_forward(
        *states, None, *bounds, *longest, 0.0, 0, False, scale=scale
    )[0]
    assert isinstance(output, Tensor)
    return output.squeeze(0)

"""Attention on a CPU as plain matrix products, in blocks of queries, for processors that multiply bf16.

PyTorch's own attention multiplies bf16 there no faster than fp32. Unlike it, this one rounds attention scores
to the number format between the two products. Knows tensors and segments; knows no model.
"""

import torch
from torch import Tensor

from rankmill.worker.model.attention.packed import Segments, attend_run, zero_filler_rows

# For shorter sequences the call costs more than the computing; PyTorch takes equal lengths in one call.
MIN_LENGTH = 96
# Sequences are computed as if their length were a multiple of this. Kernels are fast with whole vectors, and
# oneDNN makes a kernel for every shape, which takes longer than using it.
STEP = 16
MAX_QUERIES, MAX_QUERIES_OF_LONG, LONG = 512, 256, 2048
# How many attention scores fit into a thread's caches between the two products.
SCORES_PER_THREAD = 3 * 2**19


def in_query_blocks(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """A kernel for whole sequences. Short ones, and those of local attention, are computed by length."""
    return _by_blocks(query, key, value, segments, scale, reach, query.dtype)


def query_blocks_in_bf16(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """The same for states in fp32 where the precision of bf16 is enough."""
    return _by_blocks(query, key, value, segments, scale, reach, torch.bfloat16)


def _by_blocks(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    segments: Segments,
    scale: float,
    reach: int | None,
    dtype: torch.dtype,
) -> Tensor:
    output = torch.empty_like(query, memory_format=torch.contiguous_format)
    by_head = [states.transpose(0, 1) for states in (output, query, key, value)]
    for run in segments.runs:
        start, length, count = run
        if length < MIN_LENGTH or (reach is not None and length > reach + 1):
            attend_run(output, query, key, value, run, scale, reach)
            continue
        for first in range(start, start + length * count, length):
            _attend(by_head[0], by_head[1], by_head[2], by_head[3], first, length, scale, dtype)
    zero_filler_rows(output, segments)
    return output


def _attend(
    output: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    first: int,
    length: int,
    scale: float,
    dtype: torch.dtype,
) -> None:
    """One sequence of (heads, tokens, head size), a few heads and queries at a time, so that their scores
    stay in the caches.

    A query's result depends on its own sequence only. Some rows behind the sequence are computed as well, as
    if they were queries of it; they are overwritten when their own sequence is computed.
    """
    padded = _whole_steps(length)
    keys, values = (_padded(states[:, first : first + length], padded, dtype) for states in (key, value))
    values[:, length:] = 0
    keys = keys.transpose(1, 2)
    max_queries = MAX_QUERIES if length <= LONG else MAX_QUERIES_OF_LONG
    num_queries = _whole_steps(-(-padded // -(-padded // max_queries)))
    heads_at_once = max(1, torch.get_num_threads() * SCORES_PER_THREAD // (num_queries * padded))
    nothing = keys.new_empty(())
    for head in range(0, len(query), heads_at_once):
        heads = slice(head, head + heads_at_once)
        for start in range(first, first + padded, num_queries):
            end = min(start + num_queries, first + padded)
            rows = slice(start, end)
            queries = query[heads, rows].to(dtype)
            is_short = queries.shape[1] < end - start  # there may be too few rows behind the last sequence
            if is_short:
                queries = _padded(queries, end - start, dtype)
            scores = torch.baddbmm(nothing, queries, keys[heads], beta=0, alpha=scale)
            scores[..., length:] = -torch.inf
            torch.softmax(scores, -1, out=scores)
            if output.dtype is dtype and not is_short:
                torch.bmm(scores, values[heads], out=output[heads, rows])
            else:
                attended = torch.bmm(scores, values[heads])
                output[heads, rows] = attended[:, : output.shape[1] - start]


def _padded(states: Tensor, num_rows: int, dtype: torch.dtype) -> Tensor:
    """(heads, tokens, head size) with more rows behind, whose numbers are undefined."""
    padded = states.new_empty(len(states), num_rows, states.shape[2], dtype=dtype)
    padded[:, : states.shape[1]] = states
    return padded


def _whole_steps(number: int) -> int:
    return -(-number // STEP) * STEP

"""Attention on a CPU as plain matrix products, in blocks of queries: for processors that multiply bf16.

PyTorch's own attention multiplies bf16 there no faster than fp32. Scores are rounded to the number format
between the two products, where that one keeps them in fp32. Knows tensors and segments, not models.
"""

import torch
from torch import Tensor

from rankmill.worker.model.attention.packed import Segments, attend_run, clear_idle

# Shorter sequences cost more to call for than to compute: equal lengths together are one call of PyTorch's.
LEAST_LENGTH = 96
# Sequences are computed as if they were so many tokens long, or twice, three times, …: kernels are fast with
# whole vectors, and oneDNN makes a kernel for every shape, which takes longer than its use.
STEP = 16
MOST_QUERIES, MOST_QUERIES_OF_LONG, LONG = 512, 256, 2048
# How many scores a thread's caches hold between the two products.
SCORES_PER_THREAD = 3 * 2**19


def by_query_blocks(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """A kernel for whole sequences; short ones, and those where tokens see only so far, go run by run."""
    return _by_blocks(query, key, value, segments, scale, reach, query.dtype)


def by_query_blocks_in_bf16(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """The same for states in fp32 that need not be so exact."""
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
        if length < LEAST_LENGTH or (reach is not None and length > reach + 1):
            attend_run(output, query, key, value, run, scale, reach)
            continue
        for first in range(start, start + length * count, length):
            _attend(by_head[0], by_head[1], by_head[2], by_head[3], first, length, scale, dtype)
    clear_idle(output, segments)
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
    """One sequence of (heads, tokens, head size), so many heads and queries at a time that their scores stay
    in the caches.

    What a query gets depends on nothing but its own sequence. Some rows behind it are computed as well, as
    if they asked; they are written over when their own sequence's turn comes.
    """
    padded = _whole_steps(length)
    keys, values = (_padded(states[:, first : first + length], padded, dtype) for states in (key, value))
    values[:, length:] = 0
    keys = keys.transpose(1, 2)
    most = MOST_QUERIES if length <= LONG else MOST_QUERIES_OF_LONG
    num_queries = _whole_steps(-(-padded // -(-padded // most)))
    heads_at_once = max(1, torch.get_num_threads() * SCORES_PER_THREAD // (num_queries * padded))
    nothing = keys.new_empty(())
    for head in range(0, len(query), heads_at_once):
        heads = slice(head, head + heads_at_once)
        for start in range(first, first + padded, num_queries):
            end = min(start + num_queries, first + padded)
            asking = slice(start, end)
            queries = query[heads, asking].to(dtype)
            is_short = queries.shape[1] < end - start  # behind the last sequence rows may be too few
            if is_short:
                queries = _padded(queries, end - start, dtype)
            scores = torch.baddbmm(nothing, queries, keys[heads], beta=0, alpha=scale)
            scores[..., length:] = -torch.inf
            torch.softmax(scores, -1, out=scores)
            if output.dtype is dtype and not is_short:
                torch.bmm(scores, values[heads], out=output[heads, asking])
            else:
                attended = torch.bmm(scores, values[heads])
                output[heads, asking] = attended[:, : output.shape[1] - start]


def _padded(states: Tensor, num_rows: int, dtype: torch.dtype) -> Tensor:
    """(heads, tokens, head size) with more rows behind, of anything."""
    padded = states.new_empty(len(states), num_rows, states.shape[2], dtype=dtype)
    padded[:, : states.shape[1]] = states
    return padded


def _whole_steps(number: int) -> int:
    return -(-number // STEP) * STEP

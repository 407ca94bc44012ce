"""Attention on a CPU as plain matrix products, in blocks of queries: for processors that multiply bf16.

PyTorch's own attention multiplies bf16 there no faster than fp32. Scores are rounded to the number format
between the two products, where that one keeps them in fp32. Knows tensors and segments, not models.
"""

import torch
from torch import Tensor

from worker.attention import Segments, attend_run, empty_output

# Shorter sequences cost more to call for than to compute: equal lengths together are one call of PyTorch's.
LEAST_LENGTH = 96
# What a thread's share of the caches holds of scores between the two products.
SCORES_PER_THREAD = 3 * 2**19


def by_query_blocks(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """A kernel for whole sequences; short ones, and those where tokens see only so far, go run by run."""
    output = empty_output(query, segments)
    for run in segments.runs:
        start, length, count = run
        if length < LEAST_LENGTH or (reach is not None and length > reach + 1):
            attend_run(output, query, key, value, run, scale, reach)
            continue
        for first in range(start, start + length * count, length):
            rows = slice(first, first + length)
            states = [every[rows].transpose(0, 1) for every in (output, query, key, value)]
            _attend(states[0], states[1], states[2], states[3], scale)
    return output


def by_query_blocks_in_bf16(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float, reach: int | None
) -> Tensor:
    """The same for states in fp32 that need not be so exact."""
    states = [every.bfloat16() for every in (query, key, value)]
    return by_query_blocks(states[0], states[1], states[2], segments, scale, reach).to(query.dtype)


def _attend(output: Tensor, query: Tensor, key: Tensor, value: Tensor, scale: float) -> None:
    """One sequence, (heads, tokens, head size), into `output`: so many heads and queries at a time that
    their scores stay in the caches. What a query gets depends on nothing but its own sequence.
    """
    num_heads, length, _ = query.shape
    num_queries = 512 if length <= 2048 else 256
    num_scores = torch.get_num_threads() * SCORES_PER_THREAD
    heads_at_once = max(2, num_scores // (min(num_queries, length) * length))
    keys, value = key.contiguous().transpose(1, 2), value.contiguous()
    nothing = query.new_empty(())
    for head in range(0, num_heads, heads_at_once):
        heads = slice(head, head + heads_at_once)
        for first in range(0, length, num_queries):
            queries = slice(first, first + num_queries)
            scores = torch.baddbmm(nothing, query[heads, queries], keys[heads], beta=0, alpha=scale)
            torch.softmax(scores, -1, out=scores)
            torch.bmm(scores, value[heads], out=output[heads, queries])

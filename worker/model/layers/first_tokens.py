"""The last layer, computed only where its result is used: at each sequence's first token.

This is exact: the head drops every other row of the last layer. Knows BERT's kind of layer and segments.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from rankmill.worker.model.attention.packed import Kernel, Segments
from rankmill.worker.model.attention.varlen import (
    FLASH_3,
    memory_efficient,
    memory_efficient_cross,
    varlen,
    varlen_cross,
    varlen_flash_3,
)
from rankmill.worker.model.layers.batch_invariance import in_row_blocks

# On a CPU the result of a single query row was seen to depend on its memory address; of so many rows it does
# not.
QUERY_ROWS = 8
# The kernels that can take one query for each sequence of keys.
CROSS_KERNELS: dict[Kernel, Callable[..., Tensor]] = {
    varlen_flash_3: partial(varlen_cross, flash=FLASH_3),
    varlen: varlen_cross,
    memory_efficient: memory_efficient_cross,
}


class FirstTokenLayer(nn.Module):
    """Replaces the last layer and gives (1, sequences, hidden) instead of (1, tokens, hidden)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden_states: Tensor, *_: Any, segments: Segments, **__: Any) -> Tensor:
        states, attention = hidden_states.squeeze(0), self.layer.attention
        first = states.index_select(0, segments.bounds[:-1])
        heads = (-1, attention.self.num_attention_heads, attention.self.attention_head_size)
        query = in_row_blocks(attention.self.query, first).view(heads)
        key, value = (project(states).view(heads) for project in (attention.self.key, attention.self.value))
        attended = first_token_attention(query, key, value, segments, attention.self.scaling)
        return in_row_blocks(self._after_attention, attended.flatten(1), first).unsqueeze(0)

    def _after_attention(self, context: Tensor, rows: Tensor) -> Tensor:
        attended = self.layer.attention.output(context, rows)
        output: Tensor = self.layer.output(self.layer.intermediate(attended), attended)
        return output


def first_token_attention(
    query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float
) -> Tensor:
    """Lets each sequence's first token attend to its whole sequence.

    Query and result are (sequences, heads, head size), keys and values (tokens, heads, head size).
    """
    num_sequences = len(segments.bounds) - 1
    cross = CROSS_KERNELS.get(segments.kernel)
    if cross is not None:
        own = torch.arange(num_sequences + 1, dtype=torch.int32, device=query.device)
        return cross(query, key, value, (own, segments.bounds), (1, segments.max_length), scale)
    output = torch.empty_like(query)
    first_sequence = 0
    for start, length, count in segments.runs:
        rows = slice(start, start + length * count)
        sequences = slice(first_sequence, first_sequence + count)
        dense = [
            states[rows].view(count, length, *states.shape[1:]).transpose(1, 2) for states in (key, value)
        ]
        queries = query[sequences].unsqueeze(2).expand(-1, -1, QUERY_ROWS, -1)
        attended = scaled_dot_product_attention(queries, dense[0], dense[1], scale=scale)
        output[sequences] = attended[:, :, 0]
        first_sequence += count
    return output

"""Query, key and value projected by one matrix product instead of three.

The stock modules stay usable: their weights become views of the fused ones, so no memory is spent twice.
Knows BERT's kind of self-attention.
"""

from typing import Any

import torch
from torch import Tensor, nn

from rankmill.worker.model.attention.packed import Segments


class FusedSelfAttention(nn.Module):
    """Replaces a stock self-attention, with its weights, for sequences laid end to end."""

    def __init__(self, stock: Any) -> None:
        super().__init__()
        self.num_attention_heads = stock.num_attention_heads
        self.attention_head_size = stock.attention_head_size
        self.scaling = stock.scaling
        parts = (stock.query, stock.key, stock.value)
        self.projection = nn.Linear(
            stock.query.in_features, sum(part.out_features for part in parts), device="meta"
        )
        self.projection.weight = stacked([part.weight for part in parts])
        self.projection.bias = stacked([part.bias for part in parts])

    def forward(self, rows: Tensor, segments: Segments) -> Tensor:
        """(tokens, hidden) to (tokens, hidden)."""
        heads = self.projection(rows).view(-1, 3, self.num_attention_heads, self.attention_head_size)
        query, key, value = heads.unbind(1)
        return segments.kernel(query, key, value, segments, self.scaling, None).flatten(1)


def stacked(parts: list[nn.Parameter]) -> nn.Parameter:
    """The parameters stacked in one, of which each of them becomes a view."""
    whole = torch.cat([part.detach() for part in parts])
    start = 0
    for part in parts:
        part.data = whole[start : start + len(part)]
        start += len(part)
    return nn.Parameter(whole, requires_grad=False)

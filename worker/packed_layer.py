"""One layer over sequences laid end to end, with the stock layer's weights and numbers and fewer tensors.

Sums and activations are written over what they are made of: each tensor less is memory not cleared, filled
and read once more. Knows BERT's kind of layer and segments.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn, ops
from torch.nn.functional import gelu

from worker.attention import Segments
from worker.fused_projections import FusedSelfAttention


class PackedLayer(nn.Module):
    """Stands in a stock layer's place; (1, tokens, hidden) in and out."""

    def __init__(self, stock: Any) -> None:
        super().__init__()
        self.attention = FusedSelfAttention(stock.attention.self)
        self.attended = stock.attention.output
        self.intermediate = stock.intermediate.dense
        self.output = stock.output
        self._activate = in_place(stock.intermediate.intermediate_act_fn)

    def forward(self, hidden_states: Tensor, *_: Any, segments: Segments, **__: Any) -> Tensor:
        rows = hidden_states.squeeze(0)
        rows = self.attended.LayerNorm(self.attended.dense(self.attention(rows, segments)).add_(rows))
        wide = self._activate(self.intermediate(rows))
        rows = self.output.LayerNorm(self.output.dense(wide).add_(rows))
        packed: Tensor = rows.unsqueeze(0)
        return packed


def in_place(activation: Any) -> Callable[[Tensor], Tensor]:
    """The activation, written over its argument where that is known to give the same."""
    is_gelu = getattr(activation, "act", None) is gelu
    write_over: Callable[[Tensor], Tensor] = ops.aten.gelu_
    return write_over if is_gelu else activation

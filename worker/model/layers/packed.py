"""One layer over sequences laid end to end, with the stock layer's weights and numbers and fewer tensors.

Sums and activations overwrite their inputs: each tensor saved is memory that need not be cleared, filled and
read once more. Knows BERT's kind of layer and segments.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn, ops
from torch.nn.functional import gelu

from rankmill.worker.health.heap import MAX_KEPT_BYTES
from rankmill.worker.model.attention.packed import Segments
from rankmill.worker.model.layers.batch_invariance import CPU_SAFE_ROWS
from rankmill.worker.model.layers.fused_qkv import FusedSelfAttention


class PackedLayer(nn.Module):
    """Replaces a stock layer: (1, tokens, hidden) to (1, tokens, hidden).

    `after_attention` makes the layer's output of attention's result and the layer's input.
    """

    after_attention: "AfterAttention"

    def __init__(self, stock: Any) -> None:
        super().__init__()
        self.after_attention = after_attention
        self.attention = FusedSelfAttention(stock.attention.self)
        self.attended = stock.attention.output
        self.intermediate = stock.intermediate.dense
        self.output = stock.output
        self._num_wide: int = self.intermediate.out_features
        self.activate = in_place(stock.intermediate.intermediate_act_fn)

    def forward(self, hidden_states: Tensor, *_: Any, segments: Segments, **__: Any) -> Tensor:
        rows = hidden_states.squeeze(0)
        context = self.attention(rows, segments)
        num_parts = self._num_parts(rows)
        if num_parts == 1:
            return self.after_attention(self, context, rows).unsqueeze(0)
        parts = zip(context.tensor_split(num_parts), rows.tensor_split(num_parts), strict=True)
        return torch.cat([self.after_attention(self, *part) for part in parts]).unsqueeze(0)

    def _num_parts(self, rows: Tensor) -> int:
        """On a CPU so many that the intermediate tensor fits into the freed memory that the process keeps."""
        if rows.device.type != "cpu":
            return 1
        wanted = len(rows) * self._num_wide * rows.element_size() // MAX_KEPT_BYTES + 1
        return max(1, min(wanted, len(rows) // CPU_SAFE_ROWS))


# Takes the layer, attention's result and the layer's input, both (tokens, hidden); gives (tokens, hidden).
AfterAttention = Callable[[PackedLayer, Tensor, Tensor], Tensor]


def after_attention(layer: PackedLayer, context: Tensor, rows: Tensor) -> Tensor:
    rows = layer.attended.LayerNorm(layer.attended.dense(context).add_(rows))
    wide = layer.activate(layer.intermediate(rows))
    output: Tensor = layer.output.LayerNorm(layer.output.dense(wide).add_(rows))
    return output


def in_place(activation: Any) -> Callable[[Tensor], Tensor]:
    """The activation, which overwrites its argument where that is known to give the same numbers."""
    is_gelu = getattr(activation, "act", None) is gelu
    write_over: Callable[[Tensor], Tensor] = ops.aten.gelu_
    return write_over if is_gelu else activation

"""Linear layers on a CPU whose weights are stored in blocks, as its matrix kernel reads them.

From plain weights the kernel makes such blocks again for every product. Knows linear layers; knows no model.
"""

import copy

import torch
from torch import Tensor, nn

# The blocks are made for this number of rows; products of fewer or more rows read the same blocks.
TYPICAL_ROWS = 4096


class BlockedLinear(nn.Module):
    """Replaces a linear layer and gives the same numbers: (…, in) to (…, out)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), TYPICAL_ROWS)
        self.bias = linear.bias

    def forward(self, rows: Tensor) -> Tensor:
        products: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self.bias, "none", [], "")
        return products

    def __deepcopy__(self, _: object) -> nn.Linear:
        """Blocks cannot be copied, so a copy is the plain layer."""
        return self.plain()

    def plain(self) -> nn.Linear:
        """The layer as PyTorch has it, with its own copy of the weights."""
        weight = self._weight.to_dense()
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=self.bias is not None, device="meta")
        linear.weight = nn.Parameter(weight, requires_grad=False)
        linear.bias = copy.deepcopy(self.bias)
        return linear


def can_block(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this PyTorch multiplies by blocked weights on this device, in this number format."""
    if device.type != "cpu" or not torch._C._has_mkldnn:
        return False
    if dtype is torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype is torch.float32

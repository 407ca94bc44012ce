"""Linear layers in 8-bit integers on a CPU: weights scaled by output channel, activations by row.

Each row has its own scale and integers add up exactly, so a row's result depends on no other row of its
batch. Knows linear layers; knows no model.
"""

import torch
from torch import Tensor, nn

# A processor without VNNI adds up pairs of products in 16 bits, where 2 * 255 * 63 does not overflow. All
# processors use these steps, so that all multiply the same integers. Rows need the eighth bit more than
# weights, because they have outliers.
ROW_STEPS, WEIGHT_STEPS = 255, 63
TINY = 1e-30
# So few that a product's inputs and results stay in the caches.
ROWS_AT_ONCE = 512


class QuantizedLinear(nn.Module):
    """Replaces a linear layer: float32 in and out, integers between.

    A row is stored as its smallest value and steps above it; the part of the product that the smallest value
    gives is added separately.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach().float()
        self._scales = weight.abs().amax(1).clamp_min_(TINY) / WEIGHT_STEPS
        steps = torch.round(weight / self._scales[:, None]).to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(steps, None)
        self._zeros = torch.zeros(len(steps), dtype=torch.int32)
        self._sums = steps.sum(1) * self._scales
        self.bias = torch.zeros(len(steps)) if linear.bias is None else linear.bias.detach().float().clone()

    def forward(self, rows: Tensor) -> Tensor:
        flat = rows.flatten(0, -2)
        output = flat.new_empty(len(flat), len(self._sums))
        for some, products in zip(
            torch.split(flat, ROWS_AT_ONCE), torch.split(output, ROWS_AT_ONCE), strict=True
        ):
            self._write(some, products)
        return output.view(*rows.shape[:-1], -1)

    def _write(self, rows: Tensor, output: Tensor) -> None:
        least = rows.amin(-1, keepdim=True)
        extent = (rows.amax(-1, keepdim=True) - least).clamp_min_(TINY)
        density = ROW_STEPS / extent
        # addcmul would be slow here, where what is added is one number a row.
        steps = torch.mul(rows, density).sub_(least * density + 128).round_().to(torch.int8)
        # The same steps without a sign; converting the numbers would take several times as long.
        products = self._multiply(steps.view(torch.uint8).bitwise_xor_(128))
        torch.addcmul(self.bias, products, extent, out=output).addcmul_(least, self._sums)

    def _multiply(self, steps: Tensor) -> Tensor:
        """The product of rows between 0 and 1, given as steps."""
        products: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(steps, 1 / ROW_STEPS, 0),
            *(self._weight, self._scales, self._zeros),
            None,
            *(1.0, 0, torch.float32),
            *("none", [], ""),
        )
        return products


def can_quantize() -> bool:
    """Whether this PyTorch multiplies 8-bit integers; builds without oneDNN do not."""
    return bool(torch._C._has_mkldnn) and hasattr(torch.ops.onednn, "qlinear_pointwise")

"""How many rows a CPU's matrix products need for a row's sums not to depend on how many there are.

The numbers were found by trial; docs/engine.md says on which processors.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

# Products of few rows add up in another order. From this number on they were seen not to, so that a pair's
# logit is the same, bit for bit, whatever shares its batch.
CPU_LEAST_ROWS = 1024
# A kernel for every number of rows takes time to make, and those for whole blocks are the fastest.
CPU_ROW_STEP = 64
# Where there are fewer, just so many are computed at a time.
CPU_FEW_ROWS = 256


def enough_rows(num_rows: int, least: int) -> int:
    """With how many rows so many are computed on a CPU, where at least so many must be."""
    return max(least, -(-num_rows // CPU_ROW_STEP) * CPU_ROW_STEP)


def by_few_rows(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """A function of rows, each for itself; on a CPU so few at a time, the last filled up with nothing."""
    num_rows = len(inputs[0])
    if inputs[0].device.type != "cpu":
        return function(*inputs)
    filled = [torch.split(pad(rows, (0, 0, 0, -num_rows % CPU_FEW_ROWS)), CPU_FEW_ROWS) for rows in inputs]
    return torch.cat([function(*part) for part in zip(*filled, strict=True)])[:num_rows]

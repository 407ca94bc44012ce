"""Makes a row's result on a CPU independent of how many rows are computed with it.

Matrix products of few rows add up in another order than products of many. The numbers here were found by
trial; docs/engine.md says on which processors.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

# From this number of rows on, products were seen to add up in one order, so that a pair's logit is the same,
# bit for bit, whatever shares its batch.
CPU_SAFE_ROWS = 1024
# Making a kernel for every number of rows takes time, and kernels for whole blocks are the fastest.
CPU_ROW_STEP = 64
# Where there are always few rows, exactly so many are computed at a time.
CPU_BLOCK_ROWS = 256


def rows_to_compute(num_rows: int, min_rows: int) -> int:
    """How many rows a CPU should compute for so many: whole steps, and at least `min_rows`."""
    return max(min_rows, -(-num_rows // CPU_ROW_STEP) * CPU_ROW_STEP)


def in_row_blocks(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Applies a function that treats each row alone; on a CPU in blocks, the last filled up with zeros."""
    num_rows = len(inputs[0])
    if inputs[0].device.type != "cpu":
        return function(*inputs)
    filled = [
        torch.split(pad(rows, (0, 0, 0, -num_rows % CPU_BLOCK_ROWS)), CPU_BLOCK_ROWS) for rows in inputs
    ]
    return torch.cat([function(*part) for part in zip(*filled, strict=True)])[:num_rows]

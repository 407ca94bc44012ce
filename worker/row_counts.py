"""How many rows a CPU's matrix products need for a row's sums not to depend on how many there are.

The numbers were found by trial; docs/engine.md says on which processors.
"""

from torch import Tensor
from torch.nn.functional import pad

# Products of few rows add up in another order. From this number on they were seen not to, so that a pair's
# logit is the same, bit for bit, whatever shares its batch.
CPU_LEAST_ROWS = 1024
# Likewise where a multiple of so many rows is computed at once.
CPU_FEW_ROWS = 256


def enough_rows(rows: Tensor) -> Tensor:
    """On a CPU, rows of nothing behind the others, up to a multiple of CPU_FEW_ROWS."""
    if rows.device.type != "cpu":
        return rows
    return pad(rows, (0, 0, 0, -len(rows) % CPU_FEW_ROWS))

"""Finds how few rows a CPU may compute at once without changing any row's result.

The matrix library chooses a kernel, and so the order of sums, by processor, threads and sizes. Only a trial
tells. Knows linear layers, plain and replaced, and packed ones; knows no batch.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from rankmill.worker.model.layers.batch_invariance import CPU_ROW_STEP, CPU_SAFE_ROWS
from rankmill.worker.model.layers.blocked_linear import BlockedLinear
from rankmill.worker.model.layers.int8 import QuantizedLinear
from rankmill.worker.model.layers.packed import PackedLayer

log = logging.getLogger("rankmill.worker")

# How many rows the trial computes, and the first one it compares: not one that begins a step.
NUM_ROWS, FIRST = 2 * CPU_SAFE_ROWS + CPU_ROW_STEP, 37

Compute = Callable[[Tensor], Tensor]


@torch.inference_mode()
def find_min_rows(modules: Iterable[nn.Module], dtype: torch.dtype) -> int:
    """The fewest rows, in whole CPU_ROW_STEPs, from which on no row's result changes; CPU_SAFE_ROWS at most.

    Every number between was tried, so the kernels that libraries make for it exist before memory is short.
    """
    try:
        found = [_find_min_rows(*operation, dtype) for operation in row_operations(modules).values()]
        min_rows = max(found, default=CPU_ROW_STEP)
    except RuntimeError as error:  # such as too little memory, which is dealt with batch by batch
        log.warning("row_trial_failed", extra={"fields": {"error": str(error)[:300]}})
        return CPU_SAFE_ROWS
    if min_rows > CPU_SAFE_ROWS:
        log.warning("scores_may_depend_on_company", extra={"fields": {"num_rows": CPU_SAFE_ROWS}})
    log.info("rows_tried", extra={"fields": {"least_rows": min(min_rows, CPU_SAFE_ROWS)}})
    return min(min_rows, CPU_SAFE_ROWS)


def row_operations(modules: Iterable[nn.Module]) -> dict[object, tuple[Compute, int]]:
    """What is computed of rows, and how wide these are: one linear layer of every shape, and what follows
    attention in one packed layer, as these are all alike.
    """
    found: dict[object, tuple[Compute, int]] = {}
    for part in modules:
        if isinstance(part, nn.Linear | BlockedLinear | QuantizedLinear):
            found[shape_of(part)] = part, part.in_features
        elif isinstance(part, PackedLayer):
            found[PackedLayer] = partial(_after_attention, part), part.attention.projection.in_features
    return found


def shape_of(linear: nn.Linear | BlockedLinear | QuantizedLinear) -> object:
    return type(linear), linear.in_features, linear.out_features, linear.bias is None


def _after_attention(layer: PackedLayer, rows: Tensor) -> Tensor:
    return layer.after_attention(layer, rows, rows)


def _find_min_rows(compute: Compute, width: int, dtype: torch.dtype) -> int:
    rows = torch.randn(NUM_ROWS, width, generator=torch.Generator().manual_seed(1)).to(dtype)
    expected = compute(rows)
    for fewer in range(CPU_SAFE_ROWS, 0, -CPU_ROW_STEP):
        # Half precision rounds most differences away, so more rows must be compared.
        num_looks = 1 if dtype is torch.float32 else CPU_SAFE_ROWS // fewer
        for start in range(FIRST, FIRST + num_looks * fewer, fewer):
            some = slice(start, start + fewer)
            if not torch.equal(compute(rows[some]), expected[some]):
                return fewer + CPU_ROW_STEP
    return CPU_ROW_STEP

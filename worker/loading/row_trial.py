"""How few rows a CPU's matrix products may have here for a row's sums not to depend on their number.

Which kernel multiplies, and in what order it adds up, is the matrix library's choice by processor, threads
and sizes: it is asked by trial. Knows linear layers, plain and exchanged, and packed ones; knows no batches.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from rankmill.worker.model.layers.batch_invariance import CPU_LEAST_ROWS, CPU_ROW_STEP
from rankmill.worker.model.layers.blocked_linear import BlockedLinear
from rankmill.worker.model.layers.int8 import QuantizedLinear
from rankmill.worker.model.layers.packed import PackedLayer

log = logging.getLogger("rankmill.worker")

# Among how many rows the few are looked for, and which is the first of them: one that begins no step.
NUM_ROWS, FIRST = 2 * CPU_LEAST_ROWS + CPU_ROW_STEP, 37

Compute = Callable[[Tensor], Tensor]


@torch.inference_mode()
def fewest_rows(modules: Iterable[nn.Module], dtype: torch.dtype) -> int:
    """At most CPU_LEAST_ROWS, in whole CPU_ROW_STEPs, as batches are computed; all between were tried.

    What the libraries make for each number of rows is made by that, and is there when memory is short.
    """
    try:
        least = max((_fewest_rows(*step, dtype) for step in steps(modules).values()), default=CPU_ROW_STEP)
    except RuntimeError as error:  # as when memory is short: batches have the means to live through that
        log.warning("row_trial_failed", extra={"fields": {"error": str(error)[:300]}})
        return CPU_LEAST_ROWS
    if least > CPU_LEAST_ROWS:
        log.warning("scores_may_depend_on_company", extra={"fields": {"num_rows": CPU_LEAST_ROWS}})
    log.info("rows_tried", extra={"fields": {"least_rows": min(least, CPU_LEAST_ROWS)}})
    return min(least, CPU_LEAST_ROWS)


def steps(modules: Iterable[nn.Module]) -> dict[object, tuple[Compute, int]]:
    """By kind, what is computed of rows and how wide they are: linear layers of every shape; and for all
    packed layers, which are alike, what follows attention.
    """
    found: dict[object, tuple[Compute, int]] = {}
    for part in modules:
        if isinstance(part, nn.Linear | BlockedLinear | QuantizedLinear):
            found[kind(part)] = part, part.in_features
        elif isinstance(part, PackedLayer):
            found[PackedLayer] = partial(_after_attention, part), part.attention.projection.in_features
    return found


def kind(linear: nn.Linear | BlockedLinear | QuantizedLinear) -> object:
    return type(linear), linear.in_features, linear.out_features, linear.bias is None


def _after_attention(layer: PackedLayer, rows: Tensor) -> Tensor:
    return layer.after_attention(layer, rows, rows)


def _fewest_rows(compute: Compute, width: int, dtype: torch.dtype) -> int:
    rows = torch.randn(NUM_ROWS, width, generator=torch.Generator().manual_seed(1)).to(dtype)
    expected = compute(rows)
    for fewer in range(CPU_LEAST_ROWS, 0, -CPU_ROW_STEP):
        # Half precision rounds most differences away, so that more rows must be looked at.
        num_looks = 1 if dtype is torch.float32 else CPU_LEAST_ROWS // fewer
        for start in range(FIRST, FIRST + num_looks * fewer, fewer):
            some = slice(start, start + fewer)
            if not torch.equal(compute(rows[some]), expected[some]):
                return fewer + CPU_ROW_STEP
    return CPU_ROW_STEP

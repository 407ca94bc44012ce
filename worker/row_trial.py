"""How few rows a CPU's matrix products may have here for a row's sums not to depend on their number.

Which kernel multiplies, and in what order it adds up, is the matrix library's choice by processor, threads
and sizes: it is asked by trial. Knows linear layers, plain and exchanged; knows neither models nor batches.
"""

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from worker.blocked_linear import BlockedLinear
from worker.packed_layer import PackedLayer
from worker.quantization import QuantizedLinear
from worker.row_counts import CPU_LEAST_ROWS, CPU_ROW_STEP

# Among how many rows the few are looked for, and which is the first of them: one that begins no step.
NUM_ROWS, FIRST = 2 * CPU_LEAST_ROWS, 37


@torch.inference_mode()
def fewest_rows(layers: nn.Module, dtype: torch.dtype) -> int:
    """At most CPU_LEAST_ROWS, in whole CPU_ROW_STEPs, as batches are computed; each between was tried.

    What the libraries make for each number of rows is made by that, and is there when memory is short.
    """
    return max((_fewest_rows(*step, dtype) for step in _steps(layers)), default=CPU_ROW_STEP)


def _steps(layers: nn.Module) -> Iterable[tuple[Callable[[Tensor], Tensor], int]]:
    """What is computed of rows, one of each kind, and how wide they are."""
    kinds: dict[object, tuple[Callable[[Tensor], Tensor], int]] = {}
    for part in layers.modules():
        if isinstance(part, nn.Linear | BlockedLinear | QuantizedLinear):
            kinds[type(part), part.in_features, part.out_features] = part, part.in_features
        elif isinstance(part, PackedLayer):
            kinds[PackedLayer] = partial(_after_attention, part), part.attention.projection.in_features
    return kinds.values()


def _after_attention(layer: PackedLayer, rows: Tensor) -> Tensor:
    return layer.after_attention(layer, rows, rows)


def _fewest_rows(compute: Callable[[Tensor], Tensor], width: int, dtype: torch.dtype) -> int:
    rows = torch.randn(NUM_ROWS, width, generator=torch.Generator().manual_seed(1)).to(dtype)
    expected = compute(rows)
    for fewer in range(CPU_LEAST_ROWS - CPU_ROW_STEP, 0, -CPU_ROW_STEP):
        some = slice(FIRST, FIRST + fewer)
        if not torch.equal(compute(rows[some]), expected[some]):
            return fewer + CPU_ROW_STEP
    return CPU_ROW_STEP

"""What the token budget of a batch does to the pace on this device: the same sequences, packed anew, in turn.

Random weights, real architecture; no texts and no tokenizer. Run: python -m benchmarks.engine.budgets
"""

import argparse
import copy
from statistics import median
from typing import Any

from benchmarks.engine.shortcuts import CPU, DTYPES, SIZES, encoder_of, mixed_batches, random_model, time_of
from benchmarks.report import publish
from rankmill.worker.batching.layout import Batch
from rankmill.worker.batching.packing import Cost
from rankmill.worker.health.heap import keep_freed_memory
from rankmill.worker.model.attention.choice import kernels_for, multiplies_bf16_blocks
from rankmill.worker.model.attention.packed import run_by_run
from rankmill.worker.model.attention.query_blocks import by_query_blocks_in_bf16
from rankmill.worker.model.encoders import PackedEncoder
from rankmill.worker.model.families import attention_length
from rankmill.worker.model.layers.blocked_linear import BlockedLinear
from rankmill.worker.model.layers.int8 import QuantizedLinear

BUDGETS = (1024, 2048, 4096, 8192, 16_384)
HEADER = ("model", "computed in", "budget", "batches", "tokens/s, median", "to the best")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS)
    parser.add_argument("--precisions", nargs="+", choices=[*DTYPES, "int8"], default=["fp32", "bf16"])
    asked = parser.parse_args()
    keep_freed_memory()
    rows: list[tuple[object, ...]] = []
    for size in asked.sizes:
        model = random_model(*SIZES[size])
        cost = Cost(attention_length(model.config))
        batches = {budget: mixed_batches(asked.pairs, budget, cost) for budget in asked.budgets}
        for precision in asked.precisions:
            found = rows_of(engine_of(model, precision), batches, asked.rounds)
            rows += [(size, precision, *row) for row in found]
    publish("budgets", "The token budget of a batch, mixed lengths", HEADER, rows)


def engine_of(model: Any, precision: str) -> PackedEncoder:
    """The encoder as a worker has it."""
    if precision == "int8":
        has_bf16 = multiplies_bf16_blocks()
        return encoder_of(model, QuantizedLinear, by_query_blocks_in_bf16 if has_bf16 else run_by_run)
    dtype = DTYPES[precision]
    return encoder_of(copy.deepcopy(model).to(dtype), BlockedLinear, kernels_for(CPU, dtype)[0])


def rows_of(
    encoder: PackedEncoder, batches: dict[int, list[Batch]], num_rounds: int
) -> list[tuple[object, ...]]:
    seconds: dict[int, list[float]] = {budget: [] for budget in batches}
    for number in range(num_rounds + 1):
        for budget, packed in batches.items():
            spent = time_of(encoder, packed)
            if number:  # the first round warms up
                seconds[budget].append(spent)
    paces = {
        budget: sum(batch.num_tokens for batch in packed) / median(seconds[budget])
        for budget, packed in batches.items()
    }
    best = max(paces.values())
    return [(budget, len(batches[budget]), pace, pace / best) for budget, pace in paces.items()]


if __name__ == "__main__":
    main()

"""What the token budget of a batch does to the pace on this device: the same sequences, packed anew, in turn.

Random weights, real architecture; no texts and no tokenizer. Run: python -m benchmarks.budgets
"""

import argparse
from statistics import median
from typing import Any

import torch

from benchmarks.report import publish
from benchmarks.shortcuts import SIZES, mixed_batches, random_model, time_of
from worker import attention
from worker.batches import Batch
from worker.cross_encoder import PackedEncoder
from worker.families import attention_length, family_of
from worker.packing import Cost
from worker.quantization import quantize_linears

BUDGETS = (1024, 2048, 4096, 8192, 16_384)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS)
    parser.add_argument("--int8", action="store_true")
    asked = parser.parse_args()
    rows = []
    for size in asked.sizes:
        model = random_model(*SIZES[size])
        encoder = encoder_of(model, is_int8=asked.int8)
        cost = Cost(attention_length(model.config))
        batches = {budget: mixed_batches(asked.pairs, budget, cost) for budget in asked.budgets}
        rows += rows_of(size, encoder, batches, asked.rounds)
    header = ("model", "budget", "batches", "tokens/s, median", "to the best")
    number_format = "int8" if asked.int8 else "fp32"
    publish("budgets", f"The token budget of a batch, {number_format}, mixed lengths", header, rows)


def encoder_of(model: Any, *, is_int8: bool) -> PackedEncoder:
    family = family_of(model)
    assert family is not None
    attention.register()
    model.set_attn_implementation(attention.PACKED_ATTENTION)
    encoder = PackedEncoder(model, family, attention.run_by_run, torch.device("cpu"))
    if is_int8:
        quantize_linears(encoder.layers)
    return encoder


def rows_of(
    size: str, encoder: PackedEncoder, batches: dict[int, list[Batch]], num_rounds: int
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
    return [(size, budget, len(batches[budget]), pace, pace / best) for budget, pace in paces.items()]


if __name__ == "__main__":
    main()

"""What spares the engine time, one added to the other: the same packed batches, in turn, in one process.

Random weights, real architecture; no texts and no tokenizer. Run: python -m benchmarks.engine.shortcuts
"""

import argparse
import copy
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

from benchmarks.report import publish
from rankmill.worker.batching.layout import Batch
from rankmill.worker.batching.packing import Cost, pack
from rankmill.worker.health.heap import keep_freed_memory
from rankmill.worker.loading.swap_layers import swap
from rankmill.worker.model.attention.choice import kernels_for
from rankmill.worker.model.attention.packed import (
    PACKED_ATTENTION,
    Kernel,
    dense_by_length,
    register_packed_attention,
)
from rankmill.worker.model.encoders import Encoder, PackedEncoder
from rankmill.worker.model.families import attention_length, family_of
from rankmill.worker.model.layers.blocked_linear import BlockedLinear

CPU = torch.device("cpu")
SIZES = {"6x384": (6, 384, 12), "12x768": (12, 768, 12)}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
VOCABULARY = 8000
BUDGET = 4096
HEADER = ("model", "computed in", "layers", "tokens/s, median", "ratio of medians", "difference of logits")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--precisions", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--give-back", action="store_true", help="freed tensors go back to the system")
    asked = parser.parse_args()
    if not asked.give_back:
        keep_freed_memory()
    rows = [
        (size, precision, *row)
        for size in asked.sizes
        for precision in asked.precisions
        for row in measure(size, DTYPES[precision], asked.pairs, asked.rounds)
    ]
    given = "are given back to" if asked.give_back else "are kept from"
    publish(
        "shortcuts_give_back" if asked.give_back else "shortcuts",
        "What spares the engine time, mixed lengths",
        HEADER,
        rows,
        f"Each row adds to the one above it. Freed tensors {given} the system.",
    )


def measure(size: str, dtype: torch.dtype, num_pairs: int, num_rounds: int) -> list[tuple[object, ...]]:
    """All ways in turn, round after round; ratios and differences are to the stock layers."""
    model = random_model(*SIZES[size]).to(dtype)
    ways = {
        "stock": encoder_of(model, is_stock=True),
        "with exact shortcuts": encoder_of(model),
        "and weights in blocks": encoder_of(model, BlockedLinear),
    }
    if (kernel := kernels_for(CPU, dtype)[0]) is not dense_by_length:
        ways["and attention in blocks"] = encoder_of(model, BlockedLinear, kernel)
    batches = mixed_batches(num_pairs, BUDGET, Cost(attention_length(model.config)))
    num_tokens = sum(batch.num_tokens for batch in batches)
    logits = {way: torch.cat([encoder.logits(batch) for batch in batches]) for way, encoder in ways.items()}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(num_rounds):
        for way, encoder in ways.items():
            seconds[way].append(time_of(encoder, batches))
    paces = {way: num_tokens / median(spent) for way, spent in seconds.items()}
    return [
        (way, pace, pace / paces["stock"], f"{float((logits[way] - logits['stock']).abs().max()):.1e}")
        for way, pace in paces.items()
    ]


def encoder_of(
    model: Any,
    stand_in: Callable[[nn.Linear], nn.Module] | None = None,
    kernel: Kernel = dense_by_length,
    *,
    is_stock: bool = False,
) -> PackedEncoder:
    """An encoder with modules of its own, with layers in the place of linear ones if given."""
    family = family_of(model)
    assert family is not None
    register_packed_attention()
    own = copy.deepcopy(model)
    own.set_attn_implementation(PACKED_ATTENTION)
    encoder = PackedEncoder(own, replace(family, has_bert_layers=not is_stock), kernel, CPU)
    if stand_in is not None:
        swap(encoder.layers, nn.Linear, stand_in)
    return encoder


def random_model(num_layers: int, width: int, num_heads: int) -> Any:
    torch.manual_seed(1)
    make_config: Any = XLMRobertaConfig
    config = make_config(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        intermediate_size=4 * width,
        max_position_embeddings=8194,
        num_labels=1,
        type_vocab_size=1,
        pad_token_id=1,
    )
    model: Any = XLMRobertaForSequenceClassification(config)
    return model.eval().requires_grad_(False)


def mixed_batches(num_pairs: int, budget: int, cost: Cost) -> list[Batch]:
    """Lengths as of abstracts: lognormal, about 250 tokens in the mean, packed as the engine packs them."""
    chance = random.Random(7)
    lengths = [min(8000, max(16, round(chance.lognormvariate(5.4, 0.5)))) for _ in range(num_pairs)]
    return [random_batch([lengths[index] for index in group]) for group in pack(lengths, budget, cost)]


def random_batch(lengths: Sequence[int]) -> Batch:
    numbers = np.random.default_rng(sum(lengths))
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    positions = np.concatenate([np.arange(length) + 2 for length in lengths])
    ids = numbers.integers(5, VOCABULARY, bounds[-1])
    flat = np.concatenate([ids, positions, np.zeros_like(ids), bounds]).astype(np.int32)
    return Batch(range(len(lengths)), flat, bounds)


def time_of(encoder: Encoder, batches: Sequence[Batch]) -> float:
    started = time.perf_counter()
    for batch in batches:
        encoder.logits(batch)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

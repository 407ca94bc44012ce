"""The engine's exact shortcuts against the stock layers: the same packed batches, in turn, in one process.

Random weights, real architecture; no texts and no tokenizer. Run: python -m benchmarks.shortcuts
"""

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

from benchmarks.report import publish
from worker import attention
from worker.batches import Batch
from worker.cross_encoder import Encoder, PackedEncoder
from worker.families import attention_length, family_of
from worker.heap import keep_freed_memory
from worker.packing import Cost, pack

SIZES = {"6x384": (6, 384, 12), "12x768": (12, 768, 12)}
VOCABULARY = 8000
BUDGET = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    asked = parser.parse_args()
    rows = []
    for freed_memory in ("as the C library likes", "kept"):  # the other order is not to be had
        if freed_memory == "kept":
            keep_freed_memory()
        for size in asked.sizes:
            rows += [(size, freed_memory, *row) for row in measure(size, asked.pairs, asked.rounds)]
    header = (
        "model",
        "freed memory",
        "layers",
        "tokens/s, median",
        "ratio of medians",
        "largest difference of logits",
    )
    publish("shortcuts", "Exact shortcuts against stock layers, fp32, mixed lengths", header, rows)


def measure(size: str, num_pairs: int, num_rounds: int) -> list[tuple[object, ...]]:
    """Both ways, alternated; the second row's ratio says what the shortcuts gain."""
    model = random_model(*SIZES[size])
    family = family_of(model)
    assert family is not None
    attention.register()
    model.set_attn_implementation(attention.PACKED_ATTENTION)
    kernel, cpu = attention.run_by_run, torch.device("cpu")
    plain = PackedEncoder(model, replace(family, has_bert_layers=False), kernel, cpu)
    short = PackedEncoder(model, family, kernel, cpu)
    batches = mixed_batches(num_pairs, BUDGET, Cost(attention_length(model.config)))
    num_tokens = sum(batch.num_tokens for batch in batches)
    found = [torch.cat([encoder.logits(batch) for batch in batches]) for encoder in (plain, short)]
    difference = f"{float((found[0] - found[1]).abs().max()):.1e}"
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(num_rounds):
        for encoder, spent in zip((plain, short), seconds, strict=True):
            spent.append(time_of(encoder, batches))
    stock_s, short_s = map(median, seconds)
    return [
        ("stock", num_tokens / stock_s, 1.0, ""),
        ("with shortcuts", num_tokens / short_s, stock_s / short_s, difference),
    ]


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

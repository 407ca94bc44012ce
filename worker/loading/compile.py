"""Layers compiled for a GPU: what follows attention takes fewer passes over memory.

One graph serves all layers and every number of tokens. Knows encoders, not pairs.
"""

import logging
import time
from collections.abc import Sequence
from functools import cache
from statistics import median

import torch
from torch import Tensor

from rankmill.worker.batching.layout import Batch
from rankmill.worker.loading.compiler_cache import use_own_folder
from rankmill.worker.loading.probes import Trial, longest_sequences, stays
from rankmill.worker.model.encoders import PackedEncoder
from rankmill.worker.model.layers.packed import AfterAttention, PackedLayer, after_attention

log = logging.getLogger("rankmill.worker")

# What is timed: enough tokens to keep a large GPU busy, in sequences of a usual length.
TIMED_TOKENS, TIMED_LENGTH, TIMED_ROUNDS = 16_384, 512, 5


def compile_layers(encoder: PackedEncoder, trial: Trial, batch_tokens: int | None) -> None:
    """Has the encoder's layers compiled, unless that fails, makes them no faster or changes logits."""
    if not encoder.has_packed_layers or torch._dynamo.config.disable:
        return
    num_timed = min(batch_tokens or TIMED_TOKENS, TIMED_TOKENS)
    timed = longest_sequences(trial.layout, trial.probe, min(TIMED_LENGTH, trial.max_length), num_timed)
    plain, fast = after_attention, compiled()
    try:
        plain_s, fast_s = _medians(encoder, (plain, fast), timed)
        encoder.compute_after_attention_by(fast)
        is_used = fast_s < plain_s and stays(encoder, trial, "compiled layers")
    except Exception as error:
        fields = {"path": "compiled layers", "error": str(error)[:300]}
        log.warning("fast_path_failed", extra={"fields": fields})
        is_used = False
    else:
        times = {"plain_ms": plain_s * 1e3, "compiled_ms": fast_s * 1e3}
        log.info("layers_compiled", extra={"fields": {**times, "is_used": is_used}})
    if not is_used:
        encoder.compute_after_attention_by(plain)


def compiled() -> AfterAttention:
    """`after_attention`, compiled when it is first called. Fails then where there is no compiler."""

    @cache
    def optimized() -> AfterAttention:
        use_own_folder()
        # Of one function it makes so many graphs and no more; those of models before count, too.
        torch._dynamo.reset()
        # Sizes are constants but for those marked below. By itself the compiler starts processes.
        return torch.compile(after_attention, dynamic=False, options={"compile_threads": 1})

    def with_any_number_of_rows(layer: PackedLayer, context: Tensor, rows: Tensor) -> Tensor:
        for tensor in (context, rows):
            torch._dynamo.mark_dynamic(tensor, 0)
        return optimized()(layer, context, rows)

    return with_any_number_of_rows


def _medians(encoder: PackedEncoder, ways: Sequence[AfterAttention], batch: Batch) -> list[float]:
    """Seconds of a batch by each way, in turn; a first round, which may compile, does not count."""
    spent: list[list[float]] = [[] for _ in ways]
    for _ in range(TIMED_ROUNDS + 1):
        for way, seconds in zip(ways, spent, strict=True):
            encoder.compute_after_attention_by(way)
            start = time.perf_counter()
            encoder.logits(batch).cpu()
            seconds.append(time.perf_counter() - start)
    return [median(seconds[1:]) for seconds in spent]

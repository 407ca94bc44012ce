"""Compiles layers for a GPU: what follows attention then takes fewer passes over memory.

One graph serves all layers and every number of tokens. Knows encoders; knows no pair.
"""

import logging
import time
from collections.abc import Sequence
from functools import cache
from statistics import median

import torch
from torch import Tensor

from rankmill.worker.batching.layout import Batch
from rankmill.worker.loading.compiler_cache import use_private_folder
from rankmill.worker.loading.probes import Trial, keeps_logits, longest_batch
from rankmill.worker.model.encoders import PackedEncoder
from rankmill.worker.model.layers.packed import AfterAttention, PackedLayer, after_attention

log = logging.getLogger("rankmill.worker")

# The batch that is timed has enough tokens to keep a large GPU busy, in sequences of a usual length.
TIMED_TOKENS, TIMED_LENGTH, TIMED_ROUNDS = 16_384, 512, 5


def compile_layers(encoder: PackedEncoder, trial: Trial, batch_tokens: int | None) -> None:
    """Compiles the encoder's layers, unless that fails, makes them no faster or changes logits."""
    if not encoder.has_packed_layers or torch._dynamo.config.disable:
        return
    num_timed = min(batch_tokens or TIMED_TOKENS, TIMED_TOKENS)
    timed = longest_batch(trial.layout, trial.probe, min(TIMED_LENGTH, trial.max_length), num_timed)
    plain, fast = after_attention, compiled_after_attention()
    try:
        plain_s, fast_s = _median_seconds(encoder, (plain, fast), timed)
        encoder.use_after_attention(fast)
        is_used = fast_s < plain_s and keeps_logits(encoder, trial, "compiled layers")
    except Exception as error:
        fields = {"path": "compiled layers", "error": str(error)[:300]}
        log.warning("fast_path_failed", extra={"fields": fields})
        is_used = False
    else:
        times = {"plain_ms": plain_s * 1e3, "compiled_ms": fast_s * 1e3}
        log.info("layers_compiled", extra={"fields": {**times, "is_used": is_used}})
    if not is_used:
        encoder.use_after_attention(plain)


def compiled_after_attention() -> AfterAttention:
    """`after_attention`, compiled when it is first called. That call fails where there is no compiler."""

    @cache
    def compiled() -> AfterAttention:
        use_private_folder()
        # The compiler makes a limited number of graphs of one function, and counts those of earlier models.
        torch._dynamo.reset()
        # All sizes are constants but those marked below. By default the compiler would start processes.
        return torch.compile(after_attention, dynamic=False, options={"compile_threads": 1})

    def for_any_number_of_rows(layer: PackedLayer, context: Tensor, rows: Tensor) -> Tensor:
        for tensor in (context, rows):
            torch._dynamo.mark_dynamic(tensor, 0)
        return compiled()(layer, context, rows)

    return for_any_number_of_rows


def _median_seconds(encoder: PackedEncoder, functions: Sequence[AfterAttention], batch: Batch) -> list[float]:
    """Seconds that a batch takes with each function, in turn; the first round may compile and is left out."""
    spent: list[list[float]] = [[] for _ in functions]
    for _ in range(TIMED_ROUNDS + 1):
        for function, seconds in zip(functions, spent, strict=True):
            encoder.use_after_attention(function)
            start = time.perf_counter()
            encoder.logits(batch).cpu()
            seconds.append(time.perf_counter() - start)
    return [median(seconds[1:]) for seconds in spent]

"""Layers compiled for a GPU: what follows attention takes fewer passes over memory.

One graph serves all layers and every number of tokens. Knows encoders, not pairs.
"""

import logging
import os
import stat
import time
from functools import cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from worker.batches import Batch, Layout
from worker.cross_encoder import PackedEncoder
from worker.packed_layer import Finish, PackedLayer, finish
from worker.self_test import longest_sequences, probe_batch, stays
from worker.tokenization import TokenizedText

log = logging.getLogger("rankmill.worker")

# What is timed: enough tokens to keep a large GPU busy, in sequences of a usual length.
TIMED_TOKENS, TIMED_LENGTH, TIMED_RUNS = 16_384, 512, 5
FOLDER_SETTING = "TORCHINDUCTOR_CACHE_DIR"


def compile_layers(
    encoder: PackedEncoder, layout: Layout, probe: TokenizedText, max_length: int, dtype: torch.dtype
) -> None:
    """Has the encoder's layers compiled, unless that fails, changes logits or makes them no faster."""
    if not encoder.has_packed_layers:
        return
    batch = probe_batch(layout, probe, max_length)
    timed = longest_sequences(layout, probe, min(TIMED_LENGTH, max_length), TIMED_TOKENS)
    expected = encoder.logits(batch)
    plain_s = _seconds(encoder, timed)
    encoder.finish_by(compiled())
    if not stays(encoder, batch, expected, dtype, "compiled layers"):
        encoder.finish_by(finish)
        return
    compiled_s = _seconds(encoder, timed)
    is_faster = compiled_s < plain_s
    if not is_faster:
        encoder.finish_by(finish)
    fields = {"plain_ms": plain_s * 1e3, "compiled_ms": compiled_s * 1e3, "is_used": is_faster}
    log.info("layers_compiled", extra={"fields": fields})


def compiled() -> Finish:
    """`finish`, compiled when it is first called. Fails then where there is no compiler."""

    @cache
    def optimized() -> tuple[Finish, TemporaryDirectory[str] | None]:
        folder = _own_folder()
        return torch.compile(finish, dynamic=False, options={"compile_threads": 1}), folder

    def finish_any_number(layer: PackedLayer, context: Tensor, rows: Tensor) -> Tensor:
        for tensor in (context, rows):
            torch._dynamo.mark_dynamic(tensor, 0)
        made, _ = optimized()
        return made(layer, context, rows)

    return finish_any_number


def _own_folder() -> TemporaryDirectory[str] | None:
    """A new place for what the compiler writes, unless it has one that nobody else can write to.

    It keeps programs and pickles there and runs what it finds; left to itself, below a name in /tmp that
    everybody can take first.
    """
    chosen = os.environ.get(FOLDER_SETTING)
    if chosen and _is_ours_alone(Path(chosen)):
        return None
    folder = TemporaryDirectory(prefix="rankmill-compiled-")
    os.environ[FOLDER_SETTING] = folder.name
    return folder


def _is_ours_alone(folder: Path) -> bool:
    try:
        status = folder.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _seconds(encoder: PackedEncoder, batch: Batch) -> float:
    """How long the batch takes on the encoder's device. A first run, which may compile, does not count."""
    found = []
    for _ in range(TIMED_RUNS + 1):
        start = time.perf_counter()
        encoder.logits(batch).cpu()
        found.append(time.perf_counter() - start)
    return median(found[1:])

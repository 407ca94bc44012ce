"""How many tokens of a batch fit into a device's memory. Knows a device and an encoder; knows no pair."""

from collections.abc import Callable

import torch

from rankmill.worker.batching.layout import Batch
from rankmill.worker.model.encoders import Encoder

PROBED_TOKENS = (16_384, 4_096, 1_024)
MIN_TOKENS = 1_024


def tokens_within(num_bytes: int, max_tokens: int, measure: Callable[[int], tuple[int, int]]) -> int:
    """How many tokens of a batch fit into so many bytes, `max_tokens` at most, by what a probing batch needs.

    `measure` runs a batch of about so many tokens; it returns their true number and the peak in bytes.
    """
    for num_probed in PROBED_TOKENS:
        try:
            num_tokens, peak_bytes = measure(num_probed)
        except torch.OutOfMemoryError:
            continue
        return max(MIN_TOKENS, min(max_tokens, num_bytes * num_tokens // max(1, peak_bytes)))
    return MIN_TOKENS


def peak_bytes(encoder: Encoder, batch: Batch, device: torch.device) -> int:
    """The memory that a batch needs on a CUDA device, on top of what was in use before it."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    encoder.logits(batch)
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before
